/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include "daemon/thread.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

STAILQ_HEAD(works, fgd_work);

struct fgd_worker {
        pthread_t thread;
        pthread_mutex_t lock; /* of what is below, up to the empty line */
        pthread_cond_t pushed;
        struct works wanted, patient, ended;
        bool stop, is_paused;

        sd_event_source *source;
        int ready; /* eventfd: something has ended */
};

static struct fgd_work *next_of(struct fgd_worker *worker)
{
        struct works *works = STAILQ_EMPTY(&worker->wanted) && !worker->stop ? &worker->patient : &worker->wanted;
        struct fgd_work *work = worker->is_paused ? NULL : STAILQ_FIRST(works);
        if (work)
                STAILQ_REMOVE_HEAD(works, order);
        return work;
}

static void *worker_thread(void *user)
{
        struct fgd_worker *worker = user;
        const uint64_t one = 1;
        struct fgd_work *work;
        pthread_mutex_lock(&worker->lock);
        for (;;) {
                while (!(work = next_of(worker)) && !worker->stop)
                        pthread_cond_wait(&worker->pushed, &worker->lock);
                if (!work)
                        break;
                pthread_mutex_unlock(&worker->lock);
                work->run(work);
                pthread_mutex_lock(&worker->lock);
                STAILQ_INSERT_TAIL(&worker->ended, work, order);
                if (write(worker->ready, &one, sizeof one) < 0) {
                        /* Full: the loop has been told. */
                }
        }
        pthread_mutex_unlock(&worker->lock);
        return NULL;
}

static struct fgd_work *take(struct fgd_worker *worker)
{
        pthread_mutex_lock(&worker->lock);
        struct fgd_work *work = STAILQ_FIRST(&worker->ended);
        if (work)
                STAILQ_REMOVE_HEAD(&worker->ended, order);
        pthread_mutex_unlock(&worker->lock);
        return work;
}

/* One in each turn of the loop: others' requests come in between. */
static int on_ready(sd_event_source *source, int fd, uint32_t events, void *user)
{
        struct fgd_worker *worker = user;
        uint64_t count;
        struct fgd_work *work = read(fd, &count, sizeof count) == sizeof count ? take(worker) : NULL;
        if (work)
                work->done(work, false);
        return 0;
}

static void drop(struct fgd_worker *worker)
{
        sd_event_source_disable_unref(worker->source);
        if (worker->ready >= 0)
                close(worker->ready);
        pthread_cond_destroy(&worker->pushed);
        pthread_mutex_destroy(&worker->lock);
        free(worker);
}

int fgd_worker_new(sd_event *event, struct fgd_worker **ret)
{
        struct fgd_worker *worker = calloc(1, sizeof *worker);
        if (!worker)
                return -ENOMEM;
        STAILQ_INIT(&worker->wanted);
        STAILQ_INIT(&worker->patient);
        STAILQ_INIT(&worker->ended);
        pthread_mutex_init(&worker->lock, NULL);
        pthread_cond_init(&worker->pushed, NULL);
        worker->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
        int r = worker->ready < 0 ? -errno : sd_event_add_io(event, &worker->source, worker->ready, EPOLLIN, on_ready, worker);
        if (r >= 0)
                r = fgd_thread_start(&worker->thread, worker_thread, worker);
        if (r < 0) {
                drop(worker);
                return r;
        }
        *ret = worker;
        return 0;
}

void fgd_worker_pause(struct fgd_worker *worker)
{
        pthread_mutex_lock(&worker->lock);
        worker->is_paused = true;
        pthread_mutex_unlock(&worker->lock);
}

void fgd_worker_free(struct fgd_worker *worker)
{
        struct fgd_work *work;
        if (!worker)
                return;
        pthread_mutex_lock(&worker->lock);
        worker->stop = true;
        pthread_cond_signal(&worker->pushed);
        pthread_mutex_unlock(&worker->lock);
        pthread_join(worker->thread, NULL);
        STAILQ_CONCAT(&worker->ended, &worker->wanted); /* a paused one has left it */
        STAILQ_CONCAT(&worker->ended, &worker->patient);
        while ((work = take(worker)))
                work->done(work, true);
        drop(worker);
}

void fgd_worker_push(struct fgd_worker *worker, struct fgd_work *work)
{
        pthread_mutex_lock(&worker->lock);
        if (work->is_patient)
                STAILQ_INSERT_TAIL(&worker->patient, work, order);
        else
                STAILQ_INSERT_TAIL(&worker->wanted, work, order);
        pthread_cond_signal(&worker->pushed);
        pthread_mutex_unlock(&worker->lock);
}

static void on_settled(struct fgd_store_wait *wait, bool is_kept)
{
        struct fgd_work *work = (struct fgd_work *)((char *)wait - offsetof(struct fgd_work, settled));
        if (is_kept)
                fgd_worker_push(work->worker, work);
        else
                work->done(work, true);
}

void fgd_worker_push_settled(struct fgd_worker *worker, struct fgd_store *store, struct fgd_work *work)
{
        work->worker = worker;
        work->settled.done = on_settled;
        if (fgd_store_is_settled(store))
                fgd_worker_push(worker, work);
        else
                fgd_store_wait(store, &work->settled);
}
