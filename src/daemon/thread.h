/* SPDX-License-Identifier: Apache-2.0
 * A thread beside the loop's. Signals are the loop's; what the thread itself does wrong is its own. */
#ifndef FGD_THREAD_H
#define FGD_THREAD_H

#include <pthread.h>
#include <signal.h>

/* -errno: there is none. */
static inline int fgd_thread_start(pthread_t *ret, void *(*run)(void *user), void *user)
{
        sigset_t others, before;
        sigfillset(&others);
        sigdelset(&others, SIGBUS);
        sigdelset(&others, SIGSEGV);
        pthread_sigmask(SIG_SETMASK, &others, &before);
        int r = -pthread_create(ret, NULL, run, user);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

#endif
