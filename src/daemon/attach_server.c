/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/attach_server.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/attach_link.h"
#include "daemon/manager.h"
#include "daemon/access.h"
#include "daemon/set_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BACKLOG 256

static void view_path(const struct fgd_manager *m, const struct fgd_set *set, int64_t index, bool is_box, char *ret, size_t size)
{
        char file[FGD_SET_FILE_MAX];
        fgd_set_file(m, set, index, file);
        if (is_box)
                snprintf(ret, size, "%s/containers/%s/" FG_ATTACH_FILE, m->paths.run, file);
        else
                snprintf(ret, size, "%s/attach/%s.sock", m->paths.run, file);
}

void fgd_attach_box_path(const struct fgd_view *view, char *ret, size_t size)
{
        view_path(view->manager, view->set, view->index, true, ret, size);
        *strrchr(ret, '/') = 0;
}

int fgd_attach_new(struct fgd_manager *m, struct fg_error *err)
{
        m->attach = calloc(1, sizeof *m->attach);
        if (!m->attach)
                return fg_error_set(err, -ENOMEM, "out of memory");
        TAILQ_INIT(&m->attach->links);
        return 0;
}

static void view_free(struct fgd_view *view)
{
        sd_event_source_disable_unref(view->source);
        close(view->fd);
        free(view->text);
        free(view);
}

void fgd_attach_free(struct fgd_manager *m)
{
        struct fgd_set *set;
        if (!m->attach)
                return;
        while (!TAILQ_EMPTY(&m->attach->links))
                fgd_link_close(TAILQ_FIRST(&m->attach->links));
        TAILQ_FOREACH(set, &m->sets, order)
                while (set->views) {
                        struct fgd_view *view = set->views;
                        set->views = view->next;
                        view_free(view);
                }
        free(m->attach);
        m->attach = NULL;
}

/* One process may not keep the daemon busy with new connections: the loop gets a turn after each. */
static int on_connect(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_view *view = user;
        int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection < 0 && (errno == EMFILE || errno == ENFILE))
                fgd_link_drop_oldest(view->manager);
        else if (connection >= 0)
                fgd_link_accept(view, connection);
        return 0;
}

/* Opens its socket, anew where somebody took it away. A container's programs are of any user: who gets as far as the socket is decided by the
 * folder above, which is the daemon's alone. */
static int view_listen(struct fgd_view *view, const char *path, struct fg_error *err)
{
        fg_autoclose int fd = fg_unix_listen(path, SOCK_SEQPACKET, BACKLOG, view->is_box ? 0666 : 0600);
        sd_event_source *source = NULL;
        if (fd < 0)
                return fg_error_set(err, fd, "cannot listen on %s: %m", path);
        if (!view->is_box)
                fgd_access_grant(view->manager, path, 0660);
        int r = sd_event_add_io(view->manager->event, &source, fd, EPOLLIN, on_connect, view);
        if (r < 0)
                return fg_error_set(err, r, "cannot listen on %s: %m", path);
        sd_event_source_disable_unref(view->source);
        if (view->fd >= 0)
                close(view->fd);
        view->source = source;
        view->fd = FG_TAKE_FD(fd);
        return 0;
}

static int view_new(struct fgd_manager *m, struct fgd_set *set, int64_t index, bool is_box, const char *path, struct fg_error *err)
{
        struct fgd_view *view = calloc(1, sizeof *view);
        if (!view)
                return fg_error_set(err, -ENOMEM, "out of memory");
        *view = (struct fgd_view){.manager = m, .set = set, .index = index, .is_box = is_box, .fd = -1};
        int r = view_listen(view, path, err);
        if (r < 0) {
                free(view);
                return r;
        }
        view->next = set->views;
        set->views = view;
        return 0;
}

static struct fgd_view *view_find(const struct fgd_set *set, int64_t index, bool is_box)
{
        struct fgd_view *view = set->views;
        while (view && (view->index != index || view->is_box != is_box))
                view = view->next;
        return view;
}

int fgd_attach_listen(struct fgd_manager *m, struct fgd_set *set, int64_t index, char *ret_path, size_t size, struct fg_error *err)
{
        char path[PATH_MAX];
        view_path(m, set, index, false, path, sizeof path);
        snprintf(ret_path, size, "%s", path);
        struct fgd_view *view = view_find(set, index, false);
        if (view)
                return access(path, F_OK) == 0 ? 0 : view_listen(view, path, err);
        return view_new(m, set, index, false, path, err);
}

/* The folder of the socket. The one above it is there since the daemon started. */
static int make_box(char *path, struct fg_error *err)
{
        char *slash = strrchr(path, '/');
        int r = 0;
        *slash = 0;
        if (mkdir(path, 0755) == 0)
                r = chmod(path, 0755) < 0 ? -errno : 0; /* whatever the umask took away */
        else if (errno != EEXIST)
                r = -errno;
        if (r < 0)
                fg_error_set(err, r, "cannot make the folder %s: %s", path, strerror(-r));
        *slash = '/';
        return r;
}

int fgd_attach_listen_box(struct fgd_manager *m, struct fgd_set *set, int64_t index, struct fgd_view **ret, struct fg_error *err)
{
        char path[PATH_MAX];
        view_path(m, set, index, true, path, sizeof path);
        *ret = view_find(set, index, true);
        if (*ret && access(path, F_OK) == 0)
                return 0;
        int r = make_box(path, err);
        if (r == 0)
                r = *ret ? view_listen(*ret, path, err) : view_new(m, set, index, true, path, err);
        if (r == 0 && !*ret)
                *ret = set->views;
        return r;
}

void fgd_attach_remove(struct fgd_manager *m, struct fgd_set *set)
{
        char path[PATH_MAX];
        struct fgd_link *link, *next;
        FGD_TAILQ_EACH_SAFE(link, &m->attach->links, order, next)
                if (link->view->set == set)
                        fgd_link_close(link);
        while (set->views) {
                struct fgd_view *view = set->views;
                set->views = view->next;
                view_path(m, set, view->index, view->is_box, path, sizeof path);
                unlink(path);
                if (view->is_box) {
                        *strrchr(path, '/') = 0;
                        rmdir(path);
                }
                view_free(view);
        }
}

static struct fgd_set *parse_view(struct fgd_manager *m, const char *file, int64_t *ret_index)
{
        char target[FGD_SET_FILE_MAX];
        size_t len = strlen(file);
        if (len < 6 || len - 5 >= sizeof target || strcmp(file + len - 5, ".sock") != 0)
                return NULL;
        snprintf(target, sizeof target, "%.*s", (int)(len - 5), file);
        return fgd_set_of_file(m, target, ret_index);
}

void fgd_attach_adopt(struct fgd_manager *m)
{
        char path[PATH_MAX];
        struct fg_error err = {0};
        snprintf(path, sizeof path, "%s/attach", m->paths.run);
        DIR *folder = opendir(path);
        if (!folder)
                return;
        for (struct dirent *e; (e = readdir(folder));) {
                int64_t index;
                if (e->d_name[0] == '.')
                        continue;
                struct fgd_set *set = parse_view(m, e->d_name, &index);
                if (!set)
                        unlinkat(dirfd(folder), e->d_name, 0);
                else if (fgd_attach_listen(m, set, index, path, sizeof path, &err) < 0 || !set->views)
                        fg_log_warning("%s", err.text);
        }
        closedir(folder);
}
