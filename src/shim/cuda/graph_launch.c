/* SPDX-License-Identifier: Apache-2.0
 * A graph is one piece of work, whose cost is known after its first launch. The executable graph is what it is known by, so an
 * update of its parameters keeps what was learned and a change of its duration is followed. One that allocates memory pays for
 * that first (graph_memory.h). */
#include "shim/cuda/gate.h"
#include "shim/cuda/graph_memory.h"

#define GRAPH(name, plain) \
        static __attribute__((noinline)) CUresult gated_##name(CUgraphExec graph, CUstream stream) \
        { \
                struct fgc_work work; \
                CUresult r = fgc_work_enter(&work, plain(stream), fgc_key(graph, 0)); \
                return r ? r : fgc_work_leave(&work, FGC_REAL(name, graph, stream)); \
        } \
        static __attribute__((noinline)) CUresult charged_##name(CUgraphExec graph, CUstream stream) \
        { \
                struct fgc_graph_use use; \
                FGC_PASS(name, graph, stream); \
                CUresult r = fgc_graph_memory_begin(fgc_vgpu_of_stream(plain(stream)), graph, &use); \
                return r ? r : fgc_graph_memory_end(&use, gated_##name(graph, stream)); \
        } \
        CUresult fgc_##name(CUgraphExec graph, CUstream stream) \
        { \
                if (__builtin_expect(fg_load_relaxed(&fgc_graph_memory_seen) != 0, 0)) \
                        return charged_##name(graph, stream); \
                return fgc_gate_pass(plain(stream)) ? fgc_real.name(graph, stream) : gated_##name(graph, stream); \
        }

GRAPH(cuGraphLaunch, fgc_stream_plain)
GRAPH(cuGraphLaunch_ptsz, fgc_stream_ptsz)
