/* SCRAM-SHA-256: see scram.h. Salts and nonces come from OpenSSL's generator: they are keys, not
 * chance. */
#include "scram.h"

#include "base/check.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

enum {
    KEY_LEN = SHA256_DIGEST_LENGTH,
    SALT_LEN = 16,
    SALT_MAX = 64,
    NONCE_RAW = 18,
    NONCE_LEN = 24, /* base64 of it */
    ITERATIONS = 4096,
    ITERATIONS_MAX = 1000000,
};

struct scram {
    bool is_real; /* there is a verifier */
    int iterations;
    uint8_t salt[SALT_MAX];
    size_t salt_len;
    uint8_t stored_key[KEY_LEN];
    uint8_t server_key[KEY_LEN];
    struct buf gs2;          /* header of the client's first message */
    struct buf nonce;        /* client's and ours */
    struct buf auth_message; /* grows to the whole of it */
};

static void random_bytes(uint8_t *p, size_t len)
{
    ASSERT_MSG(RAND_bytes(p, (int)len) == 1, "no randomness from OpenSSL");
}

static void put_base64(struct buf *out, const uint8_t *p, size_t len)
{
    size_t n = (len + 2) / 3 * 4;
    uint8_t *to = buf_extend(out, n + 1); /* EVP_EncodeBlock adds a NUL */
    EVP_EncodeBlock(to, p, (int)len);
    out->len--;
}

/* Decodes at most max bytes; -1 when it is no base64. */
static int get_base64(struct slice s, uint8_t *out, size_t max)
{
    uint8_t tmp[256];
    if (s.len == 0 || s.len % 4 != 0 || s.len / 4 * 3 > sizeof tmp) {
        return -1;
    }
    int n = EVP_DecodeBlock(tmp, s.data, (int)s.len);
    if (n < 0) {
        return -1;
    }
    n -= (s.data[s.len - 1] == '=') + (s.data[s.len - 2] == '=');
    if ((size_t)n > max) {
        return -1;
    }
    memcpy(out, tmp, (size_t)n);
    return n;
}

static void hmac(const uint8_t *key, size_t key_len, struct slice data, uint8_t out[KEY_LEN])
{
    unsigned len = KEY_LEN;
    ASSERT(HMAC(EVP_sha256(), key, (int)key_len, data.data, data.len, out, &len) != NULL);
}

/* StoredKey and ServerKey of a password. */
static void derive(struct slice password, const uint8_t *salt, size_t salt_len, int iterations,
                   uint8_t stored_key[KEY_LEN], uint8_t server_key[KEY_LEN])
{
    uint8_t salted[KEY_LEN], client_key[KEY_LEN];
    ASSERT(PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.len, salt, (int)salt_len,
                             iterations, EVP_sha256(), KEY_LEN, salted) == 1);
    hmac(salted, KEY_LEN, slice_str("Client Key"), client_key);
    SHA256(client_key, KEY_LEN, stored_key);
    hmac(salted, KEY_LEN, slice_str("Server Key"), server_key);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

void scram_make_verifier(struct slice password, struct buf *out)
{
    uint8_t salt[SALT_LEN], stored_key[KEY_LEN], server_key[KEY_LEN];
    random_bytes(salt, sizeof salt);
    derive(password, salt, sizeof salt, ITERATIONS, stored_key, server_key);
    buf_printf(out, "SCRAM-SHA-256$%d:", ITERATIONS);
    put_base64(out, salt, sizeof salt);
    buf_put_u8(out, '$');
    put_base64(out, stored_key, KEY_LEN);
    buf_put_u8(out, ':');
    put_base64(out, server_key, KEY_LEN);
}

/* Up to the next `end` byte; cuts it off the front of *s. */
static bool cut(struct slice *s, uint8_t end, struct slice *out)
{
    const uint8_t *p = s->len > 0 ? memchr(s->data, end, s->len) : NULL;
    if (p == NULL) {
        return false;
    }
    *out = slice_make(s->data, (size_t)(p - s->data));
    *s = slice_make(p + 1, s->len - out->len - 1);
    return true;
}

static bool parse_verifier(struct scram *s, const char *verifier)
{
    struct slice rest = slice_str(verifier), part;
    if (!cut(&rest, '$', &part) || !slice_eq(part, slice_str("SCRAM-SHA-256")) ||
        !cut(&rest, ':', &part)) {
        return false;
    }
    s->iterations = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (part.data[i] < '0' || part.data[i] > '9' || s->iterations > ITERATIONS_MAX) {
            return false;
        }
        s->iterations = s->iterations * 10 + (part.data[i] - '0');
    }
    if (s->iterations == 0 || !cut(&rest, '$', &part)) {
        return false;
    }
    int n = get_base64(part, s->salt, sizeof s->salt);
    if (n <= 0 || !cut(&rest, ':', &part) || get_base64(part, s->stored_key, KEY_LEN) != KEY_LEN ||
        get_base64(rest, s->server_key, KEY_LEN) != KEY_LEN) {
        return false;
    }
    s->salt_len = (size_t)n;
    return true;
}

bool scram_is_verifier(const char *text)
{
    struct scram s = {0};
    return parse_verifier(&s, text);
}

bool scram_check_password(const char *verifier, struct slice password)
{
    struct scram s = {0};
    uint8_t stored_key[KEY_LEN], server_key[KEY_LEN];
    if (!parse_verifier(&s, verifier)) {
        return false;
    }
    derive(password, s.salt, s.salt_len, s.iterations, stored_key, server_key);
    return CRYPTO_memcmp(stored_key, s.stored_key, KEY_LEN) == 0;
}

struct scram *scram_create(const char *verifier, struct slice user)
{
    struct scram *s = MEM_NEW(struct scram);
    s->is_real = verifier != NULL && verifier[0] != '\0' && parse_verifier(s, verifier);
    if (!s->is_real) {
        /* The salt of a user that does not exist must not change from one try to the next. */
        static uint8_t secret[KEY_LEN];
        static bool has_secret;
        uint8_t digest[KEY_LEN];
        if (!has_secret) {
            random_bytes(secret, sizeof secret);
            has_secret = true;
        }
        hmac(secret, sizeof secret, user, digest);
        memcpy(s->salt, digest, SALT_LEN);
        s->salt_len = SALT_LEN;
        s->iterations = ITERATIONS;
    }
    return s;
}

void scram_destroy(struct scram *s)
{
    if (s == NULL) {
        return;
    }
    buf_deinit(&s->gs2);
    buf_deinit(&s->nonce);
    buf_deinit(&s->auth_message);
    OPENSSL_cleanse(s, sizeof *s);
    mem_free(s);
}

static struct status *malformed(const char *what)
{
    return status_detail(status_sql(INVALID, "08P01", "malformed SCRAM message"), "%s", what);
}

/* "r=" and the like, up to a comma or the end. */
static bool attribute(struct slice *s, char name, struct slice *out)
{
    if (s->len < 2 || s->data[0] != (uint8_t)name || s->data[1] != '=') {
        return false;
    }
    struct slice rest = slice_make(s->data + 2, s->len - 2);
    if (!cut(&rest, ',', out)) {
        *out = rest;
        rest.len = 0;
    }
    *s = rest;
    return true;
}

struct status *scram_first(struct scram *s, struct slice message, struct buf *out)
{
    struct slice rest = message, flag, authzid, user, client_nonce;
    if (!cut(&rest, ',', &flag) || !cut(&rest, ',', &authzid)) {
        return malformed("The header is incomplete.");
    }
    if (flag.len != 1 || (flag.data[0] != 'n' && flag.data[0] != 'y')) {
        return status_sql(UNSUPPORTED, "0A000", "channel binding is not supported");
    }
    if (authzid.len > 0) {
        return status_sql(UNSUPPORTED, "0A000",
                          "client uses authorization identity, but it is not supported");
    }
    buf_put(&s->gs2, message.data, (size_t)(rest.data - message.data));
    buf_put_slice(&s->auth_message, rest); /* client-first-message-bare */
    if (!attribute(&rest, 'n', &user) || !attribute(&rest, 'r', &client_nonce) ||
        client_nonce.len == 0) {
        return malformed("User name or nonce is missing.");
    }
    for (size_t i = 0; i < client_nonce.len; i++) {
        if (client_nonce.data[i] < 0x21 || client_nonce.data[i] > 0x7e) {
            return malformed("The nonce has bytes that are not printable.");
        }
    }
    uint8_t raw[NONCE_RAW];
    random_bytes(raw, sizeof raw);
    buf_put_slice(&s->nonce, client_nonce);
    put_base64(&s->nonce, raw, sizeof raw);
    size_t start = out->len;
    buf_put(out, "r=", 2);
    buf_put(out, s->nonce.data, s->nonce.len);
    buf_put(out, ",s=", 3);
    put_base64(out, s->salt, s->salt_len);
    buf_printf(out, ",i=%d", s->iterations);
    buf_put_u8(&s->auth_message, ',');
    buf_put(&s->auth_message, out->data + start, out->len - start);
    return NULL;
}

struct status *scram_final(struct scram *s, struct slice message, struct buf *out, bool *out_ok)
{
    struct slice rest = message, binding, nonce, proof_text;
    struct buf expected = {0};
    *out_ok = false;
    if (!attribute(&rest, 'c', &binding) || !attribute(&rest, 'r', &nonce)) {
        return malformed("Channel binding or nonce is missing.");
    }
    /* Extensions may stand before the proof, which is the last attribute. */
    while (rest.len > 0 && rest.data[0] != 'p') {
        struct slice extension;
        if (!cut(&rest, ',', &extension)) {
            return malformed("The proof is missing.");
        }
    }
    const uint8_t *proof_at = rest.data;
    uint8_t proof[KEY_LEN], signature[KEY_LEN], stored[KEY_LEN];
    if (!attribute(&rest, 'p', &proof_text) || rest.len > 0 ||
        get_base64(proof_text, proof, KEY_LEN) != KEY_LEN) {
        return malformed("The proof is missing or damaged.");
    }
    put_base64(&expected, s->gs2.data, s->gs2.len);
    bool is_bound = slice_eq(binding, buf_slice(&expected));
    buf_deinit(&expected);
    if (!is_bound || !slice_eq(nonce, buf_slice(&s->nonce))) {
        return malformed("Channel binding or nonce does not match.");
    }
    buf_put_u8(&s->auth_message, ',');
    buf_put(&s->auth_message, message.data, (size_t)(proof_at - message.data) - 1);
    hmac(s->stored_key, KEY_LEN, buf_slice(&s->auth_message), signature);
    for (int i = 0; i < KEY_LEN; i++) {
        proof[i] ^= signature[i]; /* now the client key */
    }
    SHA256(proof, KEY_LEN, stored);
    *out_ok = CRYPTO_memcmp(stored, s->stored_key, KEY_LEN) == 0 && s->is_real;
    if (*out_ok) {
        hmac(s->server_key, KEY_LEN, buf_slice(&s->auth_message), signature);
        buf_put(out, "v=", 2);
        put_base64(out, signature, KEY_LEN);
    }
    return NULL;
}
