/* See grpc_login.h. */
#include "grpc_login.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "frontend/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#define AUTHORIZATION_MAX 4096

struct grpc_login {
    struct loop *loop;
    struct worker *worker; /* NULL until the first check */
    bool has_known;
    uint8_t secret[SHA256_DIGEST_LENGTH];
    uint8_t known[SHA256_DIGEST_LENGTH]; /* digest() of what was right last */
};

struct check { /* on the worker */
    const char *verifier;
    struct slice password;
    bool is_right;
};

struct grpc_login *grpc_login_create(struct loop *l)
{
    struct grpc_login *g = MEM_NEW(struct grpc_login);
    g->loop = l;
    ASSERT_MSG(RAND_bytes(g->secret, sizeof(g->secret)) == 1, "no randomness from OpenSSL");
    return g;
}

void grpc_login_destroy(struct grpc_login *g)
{
    if (g == NULL) {
        return;
    }
    if (g->worker != NULL) {
        worker_destroy(g->worker);
    }
    OPENSSL_cleanse(g, sizeof(*g));
    mem_free(g);
}

static void run_check(void *arg)
{
    struct check *c = arg;
    c->is_right = scram_check_password(c->verifier, c->password);
}

/* Of verifier and header together: a new password makes the old one unknown. */
static void digest(const struct grpc_login *g, const char *verifier, const char *authorization,
                   uint8_t out[SHA256_DIGEST_LENGTH])
{
    struct buf b = {0};
    buf_put_cstr(&b, verifier);
    buf_put_cstr(&b, authorization);
    unsigned len = SHA256_DIGEST_LENGTH;
    ASSERT(HMAC(EVP_sha256(), g->secret, sizeof(g->secret), b.data, b.len, out, &len) != NULL);
    OPENSSL_cleanse(b.data, b.len);
    buf_deinit(&b);
}

/* "Basic base64(user:password)" into text, user and password pointing there. */
static bool parse_basic(const char *authorization, uint8_t *text, struct slice *out_user,
                        struct slice *out_password)
{
    if (strncasecmp(authorization, "Basic ", 6) != 0) {
        return false;
    }
    const char *encoded = authorization + 6;
    size_t len = strlen(encoded);
    if (len == 0 || len % 4 != 0 || len > AUTHORIZATION_MAX) {
        return false;
    }
    int n = EVP_DecodeBlock(text, (const uint8_t *)encoded, (int)len);
    if (n < 0) {
        return false;
    }
    n -= (encoded[len - 1] == '=') + (encoded[len - 2] == '=');
    const uint8_t *colon = memchr(text, ':', (size_t)n);
    if (colon == NULL) {
        return false;
    }
    *out_user = slice_make(text, (size_t)(colon - text));
    *out_password = slice_make(colon + 1, (size_t)(text + n - colon) - 1);
    return true;
}

static struct status *refused(const char *user)
{
    return status_sql(DENIED, "28P01", "password authentication failed for user \"%s\"", user);
}

static char *verifier_of(struct router *r, const char *user)
{
    struct catalog *cat = catalog_current(router_catalog(r));
    const char *verifier = router_verifier(r, catalog_role(cat, slice_str(user)));
    char *copy = verifier != NULL && verifier[0] != '\0' ? mem_strdup(verifier) : NULL;
    catalog_unref(cat);
    return copy;
}

struct status *grpc_login_check(struct fiber *f, struct grpc_login *g, struct router *r,
                                const char *user, const char *authorization)
{
    const char *auth = router_config(r)->auth;
    if (auth == NULL || strcmp(auth, "scram") != 0) {
        return NULL;
    }
    if (authorization == NULL) {
        return status_hint(status_detail(refused(user), "The call carries no password."),
                           "Send it as metadata \"authorization: Basic base64(user:password)\"; "
                           "sherd sql takes it "
                           "from SHERD_PASSWORD or asks for it with -W.");
    }
    uint8_t text[AUTHORIZATION_MAX];
    struct slice name, password;
    if (!parse_basic(authorization, text, &name, &password)) {
        return status_detail(refused(user),
                             "The metadata \"authorization\" is not Basic base64(user:password).");
    }
    char *verifier = verifier_of(r, user);
    struct status *st = NULL;
    if (verifier == NULL || !slice_eq(name, slice_str(user))) {
        st = refused(user);
    } else {
        uint8_t now[SHA256_DIGEST_LENGTH];
        digest(g, verifier, authorization, now);
        if (!g->has_known || CRYPTO_memcmp(now, g->known, sizeof(now)) != 0) {
            struct check c = {.verifier = verifier, .password = password};
            if (g->worker == NULL) {
                g->worker = worker_create(g->loop, "login");
            }
            fiber_run_on(f, g->worker, run_check, &c);
            if (c.is_right) {
                memcpy(g->known, now, sizeof(now));
                g->has_known = true;
            } else {
                st = refused(user);
            }
        }
    }
    OPENSSL_cleanse(text, sizeof(text));
    mem_free(verifier);
    return st;
}
