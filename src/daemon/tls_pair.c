/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tls_pair.h"

#include "base/cleanup.h"
#include "daemon/tls_make.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PEM_MAX (256u << 10)

void fgd_tls_pair_clear(struct fgd_tls_pair *pair)
{
        if (pair->key)
                explicit_bzero(pair->key, strlen(pair->key));
        free(pair->key);
        free(pair->cert);
        memset(pair, 0, sizeof *pair);
}

/* Neither a device nor a pipe that would keep the daemon waiting, nor more than any certificate has. */
static int open_pem(const char *what, const char *path, size_t *ret_size, struct stat *ret_stat, struct fg_error *err)
{
        if (*path != '/')
                return fg_error_set(err, -EINVAL, "%s \"%s\" is not an absolute path", what, path);
        fg_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fstat(fd, ret_stat) < 0)
                return fg_error_set(err, -errno, "%s: cannot read %s: %m", what, path);
        if (!S_ISREG(ret_stat->st_mode))
                return fg_error_set(err, -EINVAL, "%s: %s is not a file", what, path);
        if (ret_stat->st_size <= 0 || ret_stat->st_size > (off_t)PEM_MAX)
                return fg_error_set(err, -EINVAL, "%s: %s has %lld bytes; that is no certificate or key in PEM", what, path,
                                    (long long)ret_stat->st_size);
        *ret_size = (size_t)ret_stat->st_size;
        return FG_TAKE_FD(fd);
}

static int read_pem(const char *what, const char *path, char **ret, struct stat *ret_stat, struct fg_error *err)
{
        size_t size = 0, done = 0;
        fg_autoclose int fd = open_pem(what, path, &size, ret_stat, err);
        if (fd < 0)
                return fd;
        char *text = malloc(size + 1);
        if (!text)
                return fg_error_set(err, -ENOMEM, "out of memory");
        while (done < size) {
                ssize_t n = read(fd, text + done, size - done);
                if (n <= 0 && !(n < 0 && errno == EINTR)) {
                        int r = n < 0 ? -errno : -EIO;
                        explicit_bzero(text, done);
                        free(text);
                        return fg_error_set(err, r, "%s: cannot read %s: %m", what, path);
                }
                done += n > 0 ? (size_t)n : 0;
        }
        text[size] = '\0';
        *ret = text;
        return 0;
}

static int read_key(const char *path, char **ret, struct fg_error *err)
{
        struct stat st;
        int r = read_pem("tls-key", path, ret, &st, err);
        if (r < 0)
                return r;
        if (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))
                return fg_error_set(err, -EPERM, "tls-key: %s may be read or written by others (mode %04o): chmod 600 it, and make a new key if "
                                    "others could have seen it", path, st.st_mode & 07777);
        return 0;
}

static void clear_crt(gnutls_x509_crt_t *crt)
{
        if (*crt)
                gnutls_x509_crt_deinit(*crt);
}

static void clear_credentials(gnutls_certificate_credentials_t *credentials)
{
        if (*credentials)
                gnutls_certificate_free_credentials(*credentials);
}

static gnutls_datum_t datum(char *text)
{
        return (gnutls_datum_t){(unsigned char *)text, (unsigned)strlen(text)};
}

static int take_fingerprint(struct fgd_tls_pair *pair, const char *cert_path, struct fg_error *err)
{
        FG_CLEANUP(clear_crt) gnutls_x509_crt_t crt = NULL;
        gnutls_datum_t pem = datum(pair->cert);
        unsigned char id[32];
        size_t size = sizeof id;
        int r = gnutls_x509_crt_init(&crt);
        if (r == 0)
                r = gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM);
        if (r == 0)
                r = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &size);
        if (r < 0)
                return fg_error_set(err, -EUCLEAN, "tls-cert: %s is damaged: %s", cert_path, gnutls_strerror(r));
        for (size_t i = 0; i < sizeof id; i++)
                snprintf(pair->fingerprint + 2 * i, 3, "%02x", id[i]);
        return 0;
}

/* As the server itself will load them: that they can be read, and are of one another. */
static int check_match(struct fgd_tls_pair *pair, const char *cert_path, const char *key_path, struct fg_error *err)
{
        FG_CLEANUP(clear_credentials) gnutls_certificate_credentials_t credentials = NULL;
        gnutls_datum_t cert = datum(pair->cert), key = datum(pair->key);
        int r = gnutls_certificate_allocate_credentials(&credentials);
        if (r == 0)
                r = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
        if (r == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
                return fg_error_set(err, -EUCLEAN, "tls-key: %s is not the key of the certificate %s", key_path, cert_path);
        return r < 0 ? fg_error_set(err, -EUCLEAN, "tls-key: %s is damaged or is protected by a password: %s", key_path, gnutls_strerror(r)) : 0;
}

int fgd_tls_pair_load(const char *cert_path, const char *key_path, struct fgd_tls_pair *ret, struct fg_error *err)
{
        FG_CLEANUP(fgd_tls_pair_clear) struct fgd_tls_pair pair = {0};
        struct stat st;
        int r = read_pem("tls-cert", cert_path, &pair.cert, &st, err);
        if (r == 0)
                r = read_key(key_path, &pair.key, err);
        if (r == 0)
                r = take_fingerprint(&pair, cert_path, err);
        if (r == 0)
                r = check_match(&pair, cert_path, key_path, err);
        if (r < 0)
                return r;
        *ret = pair;
        pair = (struct fgd_tls_pair){0};
        return 0;
}

int fgd_tls_pair_own(const char *folder, const char *host, struct fgd_tls_pair *ret, struct fg_error *err)
{
        char cert[PATH_MAX], key[PATH_MAX];
        snprintf(cert, sizeof cert, "%s/tls-cert.pem", folder);
        snprintf(key, sizeof key, "%s/tls-key.pem", folder);
        bool no_cert = access(cert, F_OK) < 0 && errno == ENOENT, no_key = access(key, F_OK) < 0 && errno == ENOENT;
        int r = 0;
        if (no_key && !no_cert)
                return fg_error_set(err, -ENOENT, "the key %s is gone while its certificate is there: restore it, or remove %s too for a new pair, "
                                    "which everybody must then log in to again", key, cert);
        if (no_key)
                r = fgd_tls_make_key(key, err);
        if (r == 0 && no_cert)
                r = fgd_tls_make_cert(key, cert, host, err);
        return r < 0 ? r : fgd_tls_pair_load(cert, key, ret, err);
}
