# functions: login-values
# shellcheck shell=sh
# take_network: takes from a login what start-up files set for programs that fetch packages: proxies,
# certificates, indexes. A command that comes by ssh has none of it. What is set already stays.
take_network() {
    names='http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY'
    names="$names SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO TMPDIR"
    names="$names PIP_CERT PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST"
    names="$names UV_SYSTEM_CERTS UV_NATIVE_TLS UV_INDEX UV_INDEX_URL UV_DEFAULT_INDEX"
    names="$names UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_PYTHON_INSTALL_MIRROR"
    # shellcheck disable=SC2086
    said=$(login_values $names)
    for name in $names; do
        value=$(printf '%s\n' "$said" | sed -n "s/^lab-value $name //p" | tail -n 1)
        eval "[ -n \"\${$name-}\" ]" || [ -z "$value" ] || export "$name=$value"
    done
}
