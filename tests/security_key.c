/* A security key without hardware, as OpenSSH's middleware (SecurityKeyProvider): a stand-in for
 * the key itself. ssh, its helper, the server and what they say are real. It makes keys, and what it
 * answers when it has to sign is ANSWER, one of the error codes of OpenSSH's sk-api.h. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct enroll_response {
    uint8_t flags;
    uint8_t *public_key; size_t public_key_len;
    uint8_t *key_handle; size_t key_handle_len;
    uint8_t *signature; size_t signature_len;
    uint8_t *attestation_cert; size_t attestation_cert_len;
    uint8_t *authdata; size_t authdata_len;
};

static uint8_t *bytes(size_t length)
{
    uint8_t *made = malloc(length);
    if (made != NULL)
        memset(made, 0x42, length);
    return made;
}

uint32_t sk_api_version(void)
{
    return 0x000a0000;
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application,
    uint8_t flags, const char *pin, void **options, struct enroll_response **response)
{
    struct enroll_response *made = calloc(1, sizeof(*made));
    if (made == NULL)
        return -1;
    made->flags = flags;
    made->public_key = bytes(made->public_key_len = 32); /* of ed25519 */
    made->key_handle = bytes(made->key_handle_len = 16);
    made->signature = bytes(made->signature_len = 64);
    made->attestation_cert = bytes(made->attestation_cert_len = 16);
    made->authdata = bytes(made->authdata_len = 16);
    *response = made;
    return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
    const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
    void **options, void **response)
{
    return ANSWER;
}

int sk_load_resident_keys(const char *pin, void **options, void ***keys, size_t *number)
{
    *number = 0;
    return 0;
}
