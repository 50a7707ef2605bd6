/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-or-later
 *
 * fastgpu for Slurm: a SPANK plugin that is a client of the daemon's socket and shares no code with the rest of FastGPU, so that it
 * may be loaded into Slurm, which is under the GPL. What is called from where: docs/design/slurm.md. */
#ifndef FGI_SLURM_H
#define FGI_SLURM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The folder that FastGPU is installed in; the build says. */
#ifndef FGI_SLURM_PREFIX
#define FGI_SLURM_PREFIX "/usr/local"
#endif
#define FGI_SLURM_SOCKET  "/run/fastgpu/api.sock"
#define FGI_SLURM_UNTOLD  "/var/lib/fastgpu/slurm-untold"
#define FGI_SLURM_ANYONE  UINT32_MAX /* in place of a uid: of the operator's sets, who is anyone until the daemon has users */
#define FGI_SLURM_TEXT    512u
#define FGI_SLURM_ENTRY   320u
#define FGI_SLURM_GPUS    64u

/* Exit codes of a task that was not started, as `fastgpu run` has them. */
enum fgi_slurm_exit { FGI_SLURM_USAGE = 2, FGI_SLURM_NOT_FOUND = 3, FGI_SLURM_NO_CAPACITY = 5, FGI_SLURM_NO_DAEMON = 6, FGI_SLURM_NO_LAYER = 7 };

/* --- wish.c: what was typed behind --fastgpu --- */

struct fgi_slurm_wish {
        unsigned gpus;
        char memory[24];  /* of each vGPU, as typed; "": in proportion to the compute */
        char compute[16]; /* percent, as typed; "": the other way round */
        const char *mode; /* NULL: the daemon's */
};

/* "2:8G:25", and less of it. 0, or -EINVAL with a sentence in `error`. */
int fgi_slurm_wish_parse(const char *text, struct fgi_slurm_wish *ret, char *error, size_t len);
/* "share" or "cap". */
int fgi_slurm_mode_parse(const char *text, const char **ret, char *error, size_t len);

/* --- config.c: the words behind the plugin's path in plugstack.conf --- */

struct fgi_slurm_config {
        char socket[108]; /* sun_path's size */
        char prefix[256]; /* below it lib/fastgpu */
        char project[64]; /* "": whatever the daemon makes of it */
        char untold[128]; /* where is kept what Slurm has not taken yet */
        bool devices;     /* vGPUs go to the device that Slurm chose */
};

/* `node` replaces %n, `account` %a. 0, or -EINVAL with a sentence. */
int fgi_slurm_config_read(int argc, char **argv, const char *node, const char *account, struct fgi_slurm_config *ret, char *error, size_t len);

/* --- ask.c: one request --- */

struct fgi_slurm_reply {
        int status;
        char *body; /* NUL-terminated, to be freed */
};

/* 0 whenever the daemon answered; negative errno. */
int fgi_slurm_ask(const char *socket, const char *method, const char *path, const char *json, struct fgi_slurm_reply *ret);
/* Of all that came; -EPROTO: it is no answer, or was cut short. */
int fgi_slurm_reply_read(const char *whole, struct fgi_slurm_reply *ret);

/* --- answer.c: of the daemon's JSON what is needed here --- */

/* The member `name`, at whatever depth it first comes; false: none, or of another type. */
bool fgi_slurm_text(const char *json, const char *name, char *ret, size_t len);
bool fgi_slurm_true(const char *json, const char *name);
/* The sum over all members of that name, and how many there are. */
uint64_t fgi_slurm_sum(const char *json, const char *name, unsigned *ret_count);
/* Appends `text` as a JSON string. */
void fgi_slurm_quote(char *to, size_t size, const char *text);

/* --- job.c: a job's vGPUs on this node --- */

struct fgi_slurm_job {
        uint32_t id, restarts, uid;
        const struct fgi_slurm_config *config;
};

/* Makes them unless they are there. 0, or an exit code with a sentence. `device`: Slurm's number of it, "" for any. */
int fgi_slurm_job_make(const struct fgi_slurm_job *job, const struct fgi_slurm_wish *wish, const char *device, char *error, size_t len);
struct fgi_slurm_way {
        char attach[108], sim[256];
        bool cuda;
};
/* Says that this process is about to become a program in them. The same. */
int fgi_slurm_job_open(const struct fgi_slurm_job *job, struct fgi_slurm_way *ret, char *error, size_t len);
struct fgi_slurm_use {
        unsigned vgpus; /* 0: the job has none here */
        uint64_t gpu_us;
};
/* Negative errno with a sentence when the daemon does not tell. */
int fgi_slurm_job_use(const struct fgi_slurm_job *job, struct fgi_slurm_use *ret, char *error, size_t len);
/* Is told of a set before it is taken away; the job's `uid` is the set's owner's. 0, or negative errno: it is written down nowhere. */
typedef int fgi_slurm_left_fn(const struct fgi_slurm_job *job, const struct fgi_slurm_use *use, void *data);
/* Ends what still runs in them and takes them away, those of earlier runs too. 0, or negative errno with a sentence. */
int fgi_slurm_job_end(const struct fgi_slurm_job *job, fgi_slurm_left_fn *left, void *data, char *error, size_t len);
/* Takes away those of jobs that are no longer here: nothing runs in them. `left` is told of running jobs' as well, which stay, as do sets of
 * which it could write down nothing. */
int fgi_slurm_job_sweep(const struct fgi_slurm_config *config, fgi_slurm_left_fn *left, void *data);

/* --- comment.c --- */

/* The comment with `entry` ("NODE:…") in place of the one of the same node, unless that has more, else as the last of ours. To be freed; NULL: no memory. */
char *fgi_slurm_comment(const char *before, const char *entry);

/* --- account.c --- */

/* Puts what the job has used here so far into its AdminComment, in place of what this node said before, beside what others did. 0, or
 * negative with a sentence. */
int fgi_slurm_account(const struct fgi_slurm_job *job, const char *node, char *error, size_t len);
/* "n1.2:vgpus=1,gpu_us=7", of its third run. */
void fgi_slurm_entry(const struct fgi_slurm_job *job, const char *node, const struct fgi_slurm_use *use, char *ret, size_t len);

struct fgi_slurm_teller {
        const struct fgi_slurm_config *config;
        struct fgi_slurm_database *database; /* NULL until it is needed */
};
/* The same of a job that may be over: then into what Slurm's database has of it. 0, or with a sentence -EAGAIN: that has no end of it yet;
 * -EBUSY, -EIO, …: not now; -EHOSTDOWN: nor anything else; -ENOENT: nothing knows of the job; -ENOTSUP: there is no database; -EPERM: the job is
 * not that user's. */
int fgi_slurm_account_late(struct fgi_slurm_teller *teller, uint32_t uid, uint32_t job, const char *entry, char *error, size_t len);

/* --- untold.c: what a node has yet to tell of jobs that are gone from it --- */

/* Until Slurm has it: whoever is ended meanwhile goes on with the next start, and what is told twice is the same entry. 0 or negative errno. */
int fgi_slurm_untold_keep(const char *folder, uint32_t uid, uint32_t job, const char *entry);
bool fgi_slurm_untold_any(const char *folder);
/* 0: it is not to be told again; -EHOSTDOWN: nor need others be tried now; else it stays. `last`: nobody asks again soon. */
typedef int fgi_slurm_tell_fn(uint32_t uid, uint32_t job, const char *entry, bool last, void *data);
/* Tells them all, by one process of a node at a time, and those again that stay, until none has come or gone for `patience` ms. */
void fgi_slurm_untold_tell(const char *folder, unsigned patience, fgi_slurm_tell_fn *tell, void *data);

/* --- database.c: Slurm's database, slurmdbd --- */

struct fgi_slurm_database;
/* 0, -ENOTSUP: the cluster has none, -EHOSTDOWN: it or slurmctld does not answer, -ENOMEM. */
int fgi_slurm_database_open(struct fgi_slurm_database **ret);
void fgi_slurm_database_close(struct fgi_slurm_database *db);
/* 0: *ret is the comment of the job, which has ended, to be freed; -EAGAIN: it has no end there yet; -ENOENT: there is no such job;
 * -EHOSTDOWN: no answer. */
int fgi_slurm_database_read(struct fgi_slurm_database *db, uint32_t job, uint32_t *ret_uid, char **ret);
/* Of the same job; the same, or -EIO: it was refused. */
int fgi_slurm_database_write(struct fgi_slurm_database *db, uint32_t job, const char *comment);

#endif
