/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/tls_make.h"

#include "base/address.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define KEY_MAX       (64u << 10)
#define ADDRESSES_MAX 64              /* of this machine; a host of containers has thousands */
#define NO_END        253402300799ll  /* 9999-12-31 23:59:59: "no well-defined expiration date", RFC 5280 section 4.1.2.5 */
#define DAY           86400

static void clear_key(gnutls_x509_privkey_t *key)
{
        if (*key)
                gnutls_x509_privkey_deinit(*key);
}

static void clear_crt(gnutls_x509_crt_t *crt)
{
        if (*crt)
                gnutls_x509_crt_deinit(*crt);
}

static void clear_datum(gnutls_datum_t *d)
{
        if (d->data)
                gnutls_memset(d->data, 0, d->size);
        gnutls_free(d->data);
}

static void close_list(struct ifaddrs **list)
{
        if (*list)
                freeifaddrs(*list);
}

static int write_all(int fd, const unsigned char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                data += n > 0 ? n : 0;
                size -= n > 0 ? (size_t)n : 0;
        }
        return fsync(fd) < 0 ? -errno : 0;
}

/* The directory's entry too must survive a power cut: another key at the next start would lock everybody out. */
static int sync_folder(const char *path)
{
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
        fg_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The whole file or none. The caller has seen that there is none: the folder is the daemon's alone. */
static int write_file(const char *path, const gnutls_datum_t *data, unsigned mode, struct fg_error *err)
{
        char part[PATH_MAX];
        snprintf(part, sizeof part, "%s.part", path);
        unlink(part);
        fg_autoclose int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        int r = fd < 0 || fchmod(fd, mode) < 0 ? -errno : write_all(fd, data->data, data->size);
        if (r == 0 && rename(part, path) < 0)
                r = -errno;
        if (r == 0)
                r = sync_folder(path);
        else if (fd >= 0)
                unlink(part);
        return r < 0 ? fg_error_set(err, r, "cannot write %s: %m", path) : 0;
}

int fgd_tls_make_key(const char *path, struct fg_error *err)
{
        FG_CLEANUP(clear_key) gnutls_x509_privkey_t key = NULL;
        FG_CLEANUP(clear_datum) gnutls_datum_t pem = {0};
        int r = gnutls_x509_privkey_init(&key);
        if (r == 0)
                r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
        if (r == 0)
                r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
        if (r < 0)
                return fg_error_set(err, -EIO, "cannot make a key for remote access: %s", gnutls_strerror(r));
        return write_file(path, &pem, 0600, err);
}

static int read_key(const char *path, gnutls_x509_privkey_t *ret, struct fg_error *err)
{
        FG_CLEANUP(clear_datum) gnutls_datum_t pem = {0};
        struct stat st;
        /* gnutls_load_file() would wait for the writer of a pipe. */
        if (stat(path, &st) < 0)
                return fg_error_set(err, -errno, "cannot read %s: %m", path);
        if (!S_ISREG(st.st_mode) || st.st_size > (off_t)KEY_MAX)
                return fg_error_set(err, -EUCLEAN, "%s is no key", path);
        int r = gnutls_load_file(path, &pem);
        if (r == 0)
                r = gnutls_x509_privkey_init(ret);
        if (r == 0)
                r = gnutls_x509_privkey_import2(*ret, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
        return r < 0 ? fg_error_set(err, -EUCLEAN, "tls-key: %s is damaged: %s", path, gnutls_strerror(r)) : 0;
}

static int add_name(gnutls_x509_crt_t crt, const char *host)
{
        unsigned char address[16];
        int family = strchr(host, ':') ? AF_INET6 : AF_INET;
        if (!*host)
                return 0;
        if (inet_pton(family, host, address) == 1)
                return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, family == AF_INET ? 4 : 16, GNUTLS_FSAN_APPEND);
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host, (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
}

static int add_address(gnutls_x509_crt_t crt, const struct sockaddr *address)
{
        const struct sockaddr_in *v4 = (const void *)address;
        const struct sockaddr_in6 *v6 = (const void *)address;
        if (address->sa_family == AF_INET)
                return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &v4->sin_addr, 4, GNUTLS_FSAN_APPEND);
        if (address->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
                return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &v6->sin6_addr, 16, GNUTLS_FSAN_APPEND);
        return 0;
}

static int add_names(gnutls_x509_crt_t crt, const char *machine, const char *host)
{
        FG_CLEANUP(close_list) struct ifaddrs *list = NULL;
        unsigned count = 0;
        int r = add_name(crt, machine);
        if (r == 0)
                r = add_name(crt, "localhost");
        if (r == 0 && strcmp(host, machine) != 0 && strcmp(host, "localhost") != 0)
                r = add_name(crt, host);
        if (getifaddrs(&list) < 0)
                return r;
        for (const struct ifaddrs *i = list; r == 0 && i && count < ADDRESSES_MAX; i = i->ifa_next)
                if (i->ifa_addr && i->ifa_flags & IFF_UP) {
                        r = add_address(crt, i->ifa_addr);
                        count++;
                }
        return r;
}

static int describe(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *host)
{
        char machine[FG_HOST_MAX] = "";
        unsigned char serial[16];
        int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
        serial[0] &= 0x7f; /* a positive number */
        if (gethostname(machine, sizeof machine - 1) < 0 || !*machine)
                strcpy(machine, "localhost");
        if (r == 0)
                r = gnutls_x509_crt_set_version(crt, 3);
        if (r == 0)
                r = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
        if (r == 0)
                r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, machine, (unsigned)strnlen(machine, 64));
        if (r == 0)
                r = gnutls_x509_crt_set_activation_time(crt, time(NULL) - DAY); /* clocks differ */
        if (r == 0)
                r = gnutls_x509_crt_set_expiration_time(crt, NO_END);
        if (r == 0)
                r = gnutls_x509_crt_set_key(crt, key);
        return r == 0 ? add_names(crt, machine, host) : r;
}

static int sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
        unsigned char id[20];
        size_t size = sizeof id;
        int r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
        if (r == 0)
                r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
        if (r == 0)
                r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
        if (r == 0 && gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &size) == 0)
                r = gnutls_x509_crt_set_subject_key_id(crt, id, size);
        return r == 0 ? gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) : r;
}

int fgd_tls_make_cert(const char *key_path, const char *path, const char *host, struct fg_error *err)
{
        FG_CLEANUP(clear_key) gnutls_x509_privkey_t key = NULL;
        FG_CLEANUP(clear_crt) gnutls_x509_crt_t crt = NULL;
        FG_CLEANUP(clear_datum) gnutls_datum_t pem = {0};
        int r = read_key(key_path, &key, err);
        if (r < 0)
                return r;
        r = gnutls_x509_crt_init(&crt);
        if (r == 0)
                r = describe(crt, key, host);
        if (r == 0)
                r = sign(crt, key);
        if (r == 0)
                r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
        if (r < 0)
                return fg_error_set(err, -EIO, "cannot make a certificate for remote access: %s", gnutls_strerror(r));
        return write_file(path, &pem, 0644, err);
}
