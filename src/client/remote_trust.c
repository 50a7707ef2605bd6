/* SPDX-License-Identifier: Apache-2.0
 * Who is at the other end. A pinned daemon is known by its key alone: not by names, dates or signatures, which its own certificate has
 * only from itself. */
#include "client/remote_internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIME_MS 10000L

/* The proxy that the environment names for https, and no other that it may name for everything. */
static void set_proxy(CURL *easy)
{
        const char *proxy = getenv("https_proxy");
        if (!proxy || !*proxy)
                proxy = getenv("HTTPS_PROXY");
        curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? proxy : "");
        curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

CURL *fg_remote_handle(const struct fg_client_target *target, char *words)
{
        static bool ready;
        if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return NULL;
        ready = true;
        CURL *easy = curl_easy_init();
        if (!easy || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK ||
            curl_easy_setopt(easy, CURLOPT_URL, target->url) != CURLE_OK) {
                curl_easy_cleanup(easy);
                return NULL;
        }
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, words);
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
        curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
        curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "fastgpu/" FASTGPU_VERSION);
        set_proxy(easy);
        /* As everywhere else, an authority of one's own. */
        const char *authorities = getenv("SSL_CERT_FILE");
        if (authorities && *authorities)
                curl_easy_setopt(easy, CURLOPT_CAINFO, authorities);
        return easy;
}

static void to_base64(const unsigned char *data, size_t size, char *ret)
{
        static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (size_t i = 0; i < size; i += 3) {
                unsigned b = (unsigned)data[i] << 16 | (i + 1 < size ? (unsigned)data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0u);
                *ret++ = digit[b >> 18];
                *ret++ = digit[b >> 12 & 63];
                *ret++ = i + 1 < size ? digit[b >> 6 & 63] : '=';
                *ret++ = i + 2 < size ? digit[b & 63] : '=';
        }
        *ret = '\0';
}

void fg_remote_trust(CURL *easy, const char *fingerprint)
{
        unsigned char bytes[32];
        char pin[64] = "sha256//";
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, *fingerprint ? 0L : 1L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, *fingerprint ? 0L : 2L);
        if (!*fingerprint)
                return;
        for (size_t i = 0; i < sizeof bytes; i++)
                sscanf(fingerprint + 2 * i, "%2hhx", &bytes[i]);
        to_base64(bytes, sizeof bytes, pin + strlen(pin));
        /* Were the pin not taken, nobody would be verified at all. */
        if (curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pin) != CURLE_OK) {
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
                curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
        }
}

static void clear_crt(gnutls_x509_crt_t *crt)
{
        if (*crt)
                gnutls_x509_crt_deinit(*crt);
}

/* The fingerprint of the certificate that was shown in the last handshake; -ENOENT: none was. */
static int shown_fingerprint(CURL *easy, char ret[FG_CLIENT_FINGERPRINT_MAX])
{
        FG_CLEANUP(clear_crt) gnutls_x509_crt_t crt = NULL;
        struct curl_certinfo *info = NULL;
        unsigned char id[32];
        size_t size = sizeof id;
        const char *pem = NULL;
        if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || info->num_of_certs < 1)
                return -ENOENT;
        for (const struct curl_slist *i = info->certinfo[0]; i && !pem; i = i->next)
                if (strncmp(i->data, "Cert:", 5) == 0)
                        pem = i->data + 5;
        if (!pem)
                return -ENOENT;
        gnutls_datum_t text = {(unsigned char *)pem, (unsigned)strlen(pem)};
        if (gnutls_x509_crt_init(&crt) < 0 || gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM) < 0 ||
            gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &size) < 0)
                return -EPROTO;
        for (size_t i = 0; i < sizeof id; i++)
                snprintf(ret + 2 * i, 3, "%02x", id[i]);
        return 0;
}

static int explain_certificate(CURL *easy, const char *url, const char *pinned, const char *words, struct fg_error *err)
{
        char shown[FG_CLIENT_FINGERPRINT_MAX] = "unknown";
        shown_fingerprint(easy, shown);
        if (*pinned)
                return fg_error_set(err, -EKEYREJECTED,
                                    "the certificate of %s is not the one that is known: its fingerprint is %s, expected is %s. Nothing was sent. If its "
                                    "operator confirms the new one (`fastgpu version` there), type `fastgpu login %s`; else somebody is in between",
                                    url, shown, pinned, url);
        return fg_error_set(err, -EKEYREJECTED, "this system does not trust the certificate of %s (fingerprint %s): %s. Nothing was sent. "
                                                "`fastgpu login %s` can pin it", url, shown, *words ? words : "not signed by a known authority", url);
}

static bool is_about_certificate(CURLcode code)
{
        return code == CURLE_SSL_PINNEDPUBKEYNOTMATCH || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
               code == CURLE_SSL_ISSUER_ERROR;
}

int fg_remote_explain(CURL *easy, CURLcode code, const char *url, const char *fingerprint, const char *words, struct fg_error *err)
{
        long os = 0;
        if (is_about_certificate(code))
                return explain_certificate(easy, url, fingerprint, words, err);
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
        switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                return fg_error_set(err, -EHOSTUNREACH, "no address is known for %s", url);
        case CURLE_COULDNT_RESOLVE_PROXY:
                return fg_error_set(err, -EHOSTUNREACH, "no address is known for the proxy that https_proxy names");
        case CURLE_COULDNT_CONNECT:
                return fg_error_set(err, -ECONNREFUSED, "no daemon answers at %s: %s", url, os ? strerror((int)os) : words);
        case CURLE_OPERATION_TIMEDOUT:
                return fg_error_set(err, -ETIMEDOUT, "%s has not answered in time: %s", url, words);
        case CURLE_SSL_CONNECT_ERROR:
                return fg_error_set(err, -EPROTO, "what answers at %s does not speak TLS 1.2 or 1.3: %s", url, words);
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
                return fg_error_set(err, -EPIPE, "%s hung up without an answer: %s", url, words);
        case CURLE_OUT_OF_MEMORY:
                return fg_error_set(err, -ENOMEM, "out of memory");
        default:
                return fg_error_set(err, -EPROTO, "what answers at %s is not fastgpud, or it broke off: %s", url,
                                    *words ? words : curl_easy_strerror(code));
        }
}

/* A handshake and nothing more. */
static CURLcode look(CURL *easy, bool verify)
{
        curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 2 * CONNECT_TIME_MS);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIME_MS);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
        return curl_easy_perform(easy);
}

int fg_remote_certificate(const struct fg_client_target *target, char ret_fingerprint[FG_CLIENT_FINGERPRINT_MAX], bool *ret_trusted,
                          struct fg_error *err)
{
        char words[CURL_ERROR_SIZE] = "", shown[FG_CLIENT_FINGERPRINT_MAX];
        CURL *easy = fg_remote_handle(target, words);
        if (!easy)
                return fg_error_set(err, -ENOMEM, "cannot set up libcurl");
        CURLcode code = look(easy, true);
        bool trusted = code == CURLE_OK;
        if (is_about_certificate(code))
                code = look(easy, false);
        int r = code == CURLE_OK ? shown_fingerprint(easy, shown) : fg_remote_explain(easy, code, target->url, "", words, err);
        if (code == CURLE_OK && r < 0)
                fg_error_set(err, r, "the certificate of %s cannot be read", target->url);
        if (r == 0) {
                strcpy(ret_fingerprint, shown);
                *ret_trusted = trusted;
        }
        curl_easy_cleanup(easy);
        return r;
}
