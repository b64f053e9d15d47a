set -euo pipefail
FILES=$VOLUME/stagemaker

# One that has boto3: AWS's images have it in the system's Python or in conda's.
find_python() {
    local candidate
    for candidate in python3 "$CONDA/bin/python3" "$CONDA/envs/python3/bin/python3"; do
        if "$candidate" -c 'import boto3' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo 'No Python of this instance has boto3.' >&2
    return 1
}
