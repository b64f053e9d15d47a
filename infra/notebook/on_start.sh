
# Runs at each start, as root. AWS ends a script after 5 minutes, so both parts go on in the background.
sudo -H -u ec2-user env "VOLUME=$VOLUME" "CONDA=$CONDA" "KERNEL=$KERNEL" \
    nohup bash -c "$INSTALL" >/dev/null 2>&1 </dev/null &
if ((IDLE_S > 0)); then
    python=$(find_python)
    nohup "$python" -u -c "$IDLE" "$IDLE_S" >"$LOG" 2>&1 </dev/null &
fi
