/* SPDX-License-Identifier: Apache-2.0
 * Processes the daemon watches: identity is pid + start time, liveness a pidfd. */
#ifndef FGD_PROCESS_H
#define FGD_PROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct fgd_manager;
struct fgd_use;

#define FGD_PROCESS_BUCKETS 256u

struct fgd_process {
        struct fgd_manager *manager;
        uint32_t pid;
        uint64_t start_time; /* field 22 of /proc/PID/stat */
        int pidfd;
        uid_t uid;
        sd_event_source *source;
        TAILQ_HEAD(, fgd_use) uses;
        LIST_ENTRY(fgd_process) chain;
};
struct fgd_process_table {
        LIST_HEAD(, fgd_process) bucket[FGD_PROCESS_BUCKETS];
};

/* The process at the other end of a unix socket. */
int fgd_process_of_socket(struct fgd_manager *manager, int socket, struct fgd_process **ret, struct fg_error *err);
/* A process by name; -ESRCH when it is gone or the pid belongs to another by now. */
int fgd_process_of_pid(struct fgd_manager *manager, uint32_t pid, uint64_t start_time, struct fgd_process **ret);
/* Lets go of a process that has no uses (any more). */
void fgd_process_drop(struct fgd_process *process);
int fgd_process_signal(const struct fgd_process *process, int signal);

/* How often the process maps the file from its start. -ENOENT: it has no memory map now (it is ending, or the main thread
 * is gone). Another negative errno: cannot be known. */
int fgd_process_maps(uint32_t pid, dev_t dev, ino_t inode);
/* The file behind a mapping of the daemon's own, in the words of /proc/PID/maps: on some file systems fstat(2) says
 * something else. */
int fgd_process_map_identity(const void *address, dev_t *ret_dev, ino_t *ret_inode);

#endif
