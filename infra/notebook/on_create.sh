
# Runs once, as root: brings the notebook and the list of its packages, and clones the repository.
python=$(find_python)
mkdir -p "$FILES"
"$python" -c "$FETCH" "$REGION" "$BUCKET" "$FILES"
if [[ -n $REPOSITORY ]]; then
    clone=$VOLUME/$(basename "$REPOSITORY" .git)
    git clone --quiet "$REPOSITORY" "$clone"
    [[ -z $COMMIT ]] || git -C "$clone" checkout --quiet "$COMMIT"
fi
chown -R ec2-user:ec2-user "$VOLUME"
