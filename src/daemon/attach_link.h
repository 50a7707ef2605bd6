/* SPDX-License-Identifier: Apache-2.0
 * One attach connection: hello, reply, descriptors, then silence until its end. */
#ifndef FGD_ATTACH_LINK_H
#define FGD_ATTACH_LINK_H

#include "daemon/model.h"
#include "daemon/registry.h"
#include "daemon/use.h"

#include <systemd/sd-event.h>

#define FGD_LINK_PENDING_MAX  1024u    /* connections that have not been served yet */
#define FGD_LINK_PATIENCE_SEC 5

struct fgd_view {
        struct fgd_manager *manager;
        struct fgd_set *set;
        int64_t index; /* -1: all */
        bool is_box;   /* in a folder of its own, for containers */
        int fd;
        sd_event_source *source;
        struct fgd_view *next;
        bool is_published; /* of a box: engines are told of it */
        char *text;        /* its device in their spec, as it was when the machine was of that version; NULL: not made yet */
        uint64_t text_version;
        TAILQ_ENTRY(fgd_view) published;
};

struct fgd_link {
        struct fgd_view *view;
        int fd;
        bool pending;  /* the last descriptor has not been sent */
        uint32_t sent; /* messages of the reply */
        struct fgd_use *use;
        sd_event_source *source, *patience;
        TAILQ_ENTRY(fgd_link) order;
};

struct fgd_attach {
        TAILQ_HEAD(, fgd_link) links; /* pending ones in the order they came, before them those served */
        uint32_t pending;
};

void fgd_link_accept(struct fgd_view *view, int fd_taken);
void fgd_link_close(struct fgd_link *link); /* leaves its use alone */
void fgd_link_drop_oldest(struct fgd_manager *manager);

#endif
