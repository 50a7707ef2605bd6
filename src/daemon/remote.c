/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/remote.h"

#include "base/address.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/http_lobby.h"
#include "daemon/manager.h"
#include "daemon/tls_pair.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 512
/* TLS 1.2 and 1.3 with authenticated encryption and forward secrecy, nothing else. */
#define PRIORITIES                                                                                                                     \
        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"           \
        "%SERVER_PRECEDENCE"

struct fgd_remote {
        struct fgd_http *http; /* NULL: it could not be started */
        char listen[FG_ADDRESS_MAX];
        char fingerprint[FGD_FINGERPRINT_SIZE];
        char error[FG_ERROR_MAX];
};

static int listen_on(const struct addrinfo *at)
{
        const int on = 1, off = 0;
        fg_autoclose int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
        if (fd < 0)
                return -errno;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (at->ai_family == AF_INET6)
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, at->ai_flags & AI_PASSIVE ? &off : &on, sizeof on);
        if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
                return -errno;
        return FG_TAKE_FD(fd);
}

/* For all addresses one socket does, of IPv6 where there is any; a name may stand for several. */
static int listen_all(const struct fg_address *address, int fds[FGD_LISTENERS_MAX], unsigned *ret_count, struct fg_error *err)
{
        const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
        struct addrinfo *list = NULL;
        char port[8];
        unsigned count = 0;
        int r = -EADDRNOTAVAIL;
        bool any = !address->host[0];
        snprintf(port, sizeof port, "%u", address->port);
        int g = getaddrinfo(any ? NULL : address->host, port, &hints, &list);
        if (g)
                return fg_error_set(err, -EADDRNOTAVAIL, "listen: %s: %s", address->host, g == EAI_SYSTEM ? strerror(errno) : gai_strerror(g));
        for (int family = AF_INET6; family; family = family == AF_INET6 ? AF_INET : 0)
                for (struct addrinfo *i = list; i && count < FGD_LISTENERS_MAX && !(any && count); i = i->ai_next) {
                        if (i->ai_family != family)
                                continue;
                        i->ai_flags = any ? AI_PASSIVE : 0;
                        int fd = listen_on(i);
                        if (fd >= 0)
                                fds[count++] = fd;
                        else
                                r = fd;
                }
        freeaddrinfo(list);
        *ret_count = count;
        char text[FG_ADDRESS_MAX];
        return count ? 0 : fg_error_set(err, r, "cannot listen on %s: %m; see the option listen", fg_address_format(address, text));
}

/* The port that the kernel chose, where any was asked for. */
static void take_port(int fd, struct fg_address *address)
{
        struct sockaddr_storage bound;
        socklen_t length = sizeof bound;
        if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0)
                address->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                                  : ((struct sockaddr_in *)&bound)->sin_port);
}

static int load_pair(const struct fgd_manager *m, const char *host, struct fgd_tls_pair *ret, struct fg_error *err)
{
        const char *cert = m->options.text[FG_OPT_TLS_CERT], *key = m->options.text[FG_OPT_TLS_KEY];
        if (!*cert != !*key)
                return fg_error_set(err, -EINVAL, "%s is set and %s is not; a certificate needs its key", *cert ? "tls-cert" : "tls-key",
                                    *cert ? "tls-key" : "tls-cert");
        return *cert ? fgd_tls_pair_load(cert, key, ret, err) : fgd_tls_pair_own(m->paths.state, host, ret, err);
}

static int serve(struct fgd_manager *m, struct fgd_remote *remote, const struct fgd_tls_pair *pair, const int *fds, unsigned count,
                 struct fg_error *err)
{
        struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, pair->key},
                                       {MHD_OPTION_HTTPS_MEM_CERT, 0, pair->cert},
                                       {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES},
                                       {MHD_OPTION_END, 0, NULL}};
        int r = fgd_http_start(m, -1, tls, &remote->http, err);
        if (r < 0)
                return r;
        r = fgd_lobby_new(remote->http, fds, count);
        if (r < 0) {
                fgd_http_free(FG_TAKE_PTR(remote->http));
                return fg_error_set(err, r, "cannot set up remote access: %m");
        }
        return 0;
}

static int start(struct fgd_manager *m, struct fgd_remote *remote, struct fg_error *err)
{
        FG_CLEANUP(fgd_tls_pair_clear) struct fgd_tls_pair pair = {0};
        struct fg_address address;
        int fds[FGD_LISTENERS_MAX];
        unsigned count = 0;
        int r = fg_address_parse("listen", m->options.text[FG_OPT_LISTEN], 0, &address, err);
        if (r == 0)
                r = load_pair(m, address.host, &pair, err);
        if (r == 0)
                r = listen_all(&address, fds, &count, err);
        if (r == 0)
                r = serve(m, remote, &pair, fds, count, err);
        if (r < 0) {
                while (count)
                        close(fds[--count]);
                return r;
        }
        take_port(fds[0], &address);
        fg_address_format(&address, remote->listen);
        strcpy(remote->fingerprint, pair.fingerprint);
        return 0;
}

void fgd_remote_new(struct fgd_manager *m)
{
        struct fg_error err = {0};
        if (!m->options.text[FG_OPT_LISTEN][0])
                return;
        m->remote = calloc(1, sizeof *m->remote);
        if (!m->remote)
                return fgd_manager_note(m, "remote access is off: out of memory");
        if (start(m, m->remote, &err) < 0) {
                snprintf(m->remote->listen, sizeof m->remote->listen, "%s", m->options.text[FG_OPT_LISTEN]);
                strcpy(m->remote->error, err.text);
                return fgd_manager_note(m, "remote access is off: %s", err.text);
        }
        fg_log_info("remote access at %s, fingerprint %s", m->remote->listen, m->remote->fingerprint);
}

void fgd_remote_drive(struct fgd_remote *remote)
{
        if (remote && remote->http)
                fgd_http_drive(remote->http);
}

void fgd_remote_free(struct fgd_remote *remote)
{
        if (!remote)
                return;
        fgd_http_free(remote->http);
        free(remote);
}

void fgd_remote_write(const struct fgd_manager *m, struct fgd_text *text)
{
        if (!m->remote)
                return;
        fgd_text_name(text, "tls");
        fgd_text_add(text, "{");
        fgd_text_field(text, "listen", m->remote->listen);
        if (m->remote->http)
                fgd_text_field(text, "fingerprint", m->remote->fingerprint);
        else
                fgd_text_field(text, "error", m->remote->error);
        fgd_text_add(text, "}");
}
