/* SPDX-License-Identifier: Apache-2.0
 * This process's vGPUs: attached to the daemon at the first use of NVML, for the life of the process image. Only the
 * pages are read; nothing is ever charged to the slot. A child of fork() goes on with its parent's view. */
#ifndef FGN_SESSION_H
#define FGN_SESSION_H

/* 0: attached; -errno: refused, for good. Any thread, any number of times. */
int fgn_session_attach(void);
/* Where the vendor's library is looked for first; "" : no word of the daemon's. */
const char *fgn_session_driver_path(void);
/* Tells standard error why there is no vGPU, once. `why` NULL: what fgn_session_attach() found. */
void fgn_session_complain(const char *why);

#endif
