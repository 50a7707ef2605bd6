/* SPDX-License-Identifier: Apache-2.0
 *
 * This process's vGPUs: attached to the daemon at the first use of CUDA, and after fork() anew. Where the daemon
 * cannot be reached nothing is visible and nothing is allowed. */
#ifndef FGC_SESSION_H
#define FGC_SESSION_H

#include "ledger/attach.h"

#include <stdbool.h>

/* 0: attached. −errno: refused, for the life of this process image; nothing is printed. Any thread, any number of
 * times. */
int fgc_session_attach(void);
/* Only while attached. The vGPUs stay where they are as long as the process lives, also across fork(). */
struct fg_session *fgc_session(void);

/* For children of a bare clone(), of which nobody is told. Before the first use there can be no second thread. */
void fgc_session_notice_fork(void);

/* cuInit succeeded: from now on a child of fork() is one that no CUDA driver serves. */
void fgc_session_used(void);
/* This process is such a child. */
bool fgc_session_forked(void);

/* Tells standard error why there is no vGPU, once in a process image. `why` NULL: what fgc_session_attach() found. */
void fgc_session_complain(const char *why);

#endif
