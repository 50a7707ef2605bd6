/* SPDX-License-Identifier: Apache-2.0
 * Every lock of the layer but the session's own, which comes before all, so that fork() finds them free. None is ever
 * held across a call of the driver; where two are held together, it is in the order of locks.c. */
#ifndef FGO_LOCKS_H
#define FGO_LOCKS_H

#include <pthread.h>

void fgo_locks_all(void);
void fgo_unlocks_all(void);

#endif
