# Runs as ec2-user: installs what the notebook imports, by hash, and makes the kernel that it names. The packages lie on
# the volume, which stays over a stop; the home folder does not.
set -euo pipefail
files=$VOLUME/stagemaker
env=$VOLUME/.stagemaker/env
mkdir -p "$files"
exec >"$files/install.log" 2>&1

has_packages() { "$1" -c 'import ipykernel, matplotlib, PIL, sagemaker.train' 2>/dev/null; }

make_environment() {
    rm -rf "$env"
    if [[ -x $CONDA/bin/conda ]]; then
        "$CONDA/bin/conda" create --quiet --yes --prefix "$env" python=3.13 pip
    else
        python3.13 -m venv "$env"
    fi
    "$env/bin/python" -m pip install --quiet --require-hashes --requirement "$files/requirements.txt"
}

python=$env/bin/python
if has_packages python3; then # as on the stage, whose image has them
    python=$(command -v python3)
elif ! has_packages "$python"; then
    make_environment
fi
kernel=$HOME/.local/share/jupyter/kernels/stagemaker
mkdir -p "$kernel"
echo "${KERNEL//@PYTHON@/$python}" >"$kernel/kernel.json"
echo "The kernel runs $python"
