# shellcheck shell=sh
# Takes over the folders for downloads that a setup has noted; see caches.py.
if [ -f .lab/caches ]; then
    while IFS='=' read -r cache_name cache_folder; do
        case $cache_name in
        XDG_CACHE_HOME | CONDA_PKGS_DIRS | CUDA_CACHE_PATH | HF_HOME | PIP_CACHE_DIR | TORCH_HOME | \
            TRITON_CACHE_DIR | UV_CACHE_DIR) export "$cache_name=$cache_folder" ;;
        esac
    done <.lab/caches
    unset cache_name cache_folder
fi
