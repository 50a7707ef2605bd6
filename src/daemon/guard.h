/* SPDX-License-Identifier: Apache-2.0
 * Surviving a tenant that cuts its usage file short under the daemon's mapping (SIGBUS): the missing page is replaced by an
 * empty private one and the mapping marked damaged. */
#ifndef FGD_GUARD_H
#define FGD_GUARD_H

#include <stddef.h>
#include <stdint.h>

/* Installs the handler. Returns an event descriptor that becomes readable when a mapping was damaged, or -errno. */
int fgd_guard_start(void);

/* *damaged becomes 1 (atomically, from any thread) when the mapping was cut. Both must outlive fgd_guard_remove(). */
int fgd_guard_add(void *address, size_t size, uint32_t *damaged);
void fgd_guard_remove(void *address);

#endif
