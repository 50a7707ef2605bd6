/* SPDX-License-Identifier: Apache-2.0
 * A path tracer: spheres on a chessboard under a sky. Light is followed backwards from the eye until it meets a lamp or the sky. */

#define FAR 1e30f
#define NEAR 1e-3f

enum { MATT, MIRROR, GLASS, LAMP };

/* What the pixel and the pass are decides all chances of a path, so a frame is the same however it is divided. PCG's output function. */
static float chance(uint *state)
{
        uint old = *state, word;

        *state = old * 747796405u + 2891336453u;
        word = ((old >> ((old >> 28) + 4)) ^ old) * 277803737u;
        return ((word >> 22 ^ word) >> 8) * 0x1p-24f;
}

static uint scramble(uint x)
{
        x = (x ^ x >> 16) * 0x7feb352du;
        x = (x ^ x >> 15) * 0x846ca68bu;
        return x ^ x >> 16;
}

/* How far along the ray the sphere begins (or, from inside, ends); FAR if it is not met. */
static float meet(float4 shape, float3 eye, float3 way)
{
        float3 to = shape.xyz - eye;
        float along = dot(to, way), gap = dot(to - along * way, to - along * way), square = shape.w * shape.w - gap, half_chord;

        if (square < 0)
                return FAR;
        half_chord = sqrt(square);
        if (along - half_chord > NEAR)
                return along - half_chord;
        return along + half_chord > NEAR ? along + half_chord : FAR;
}

/* A direction around the normal, the more likely the less it leans: what a matt surface does with light. */
static float3 scatter(float3 normal, uint *state)
{
        float turn = 2 * M_PI_F * chance(state), z = 1 - 2 * chance(state), flat = sqrt(max(1 - z * z, 0.0f));
        float3 way = normal * 1.0001f + (float3)(flat * cos(turn), flat * sin(turn), z);

        return normalize(way);
}

/* Through glass or back from it; the chance is Schlick's approximation of Fresnel's. */
static float3 refract_or_reflect(float3 way, float3 normal, uint *state)
{
        bool enters = dot(way, normal) < 0;
        float3 n = enters ? normal : -normal;
        float ratio = enters ? 1 / 1.5f : 1.5f, c = -dot(way, n), square = 1 - ratio * ratio * (1 - c * c);
        float leaving = square < 0 ? 0 : sqrt(square), side = 1 - (enters ? c : leaving), back = 0.04f + 0.96f * side * side * side * side * side;

        if (square < 0 || chance(state) < back)
                return way + 2 * c * n;
        return normalize(ratio * way + (ratio * c - leaving) * n);
}

struct scene {
        global const float4 *shape, *look;
        uint spheres;
        float3 floor_dark, floor_light, sky_low, sky_high;
};

/* The light that arrives at the eye from that way. */
static float3 light(const struct scene *s, float3 eye, float3 way, uint depth, uint *state)
{
        float3 filter = 1;

        for (uint bounce = 0; bounce < depth; bounce++) {
                float distance = way.y < 0 && eye.y > NEAR ? -eye.y / way.y : FAR;
                int hit = -1, kind = MATT;
                float3 normal = (float3)(0, 1, 0), colour;

                for (uint i = 0; i < s->spheres; i++) {
                        float d = meet(s->shape[i], eye, way);

                        if (d < distance) {
                                distance = d;
                                hit = i;
                        }
                }
                if (distance == FAR)
                        return filter * mix(s->sky_low, s->sky_high, max(way.y, 0.0f));
                eye += distance * way;
                if (hit >= 0) {
                        normal = (eye - s->shape[hit].xyz) / s->shape[hit].w;
                        colour = s->look[hit].xyz;
                        kind = (int)s->look[hit].w;
                } else {
                        eye.y = 0;
                        colour = ((int)floor(eye.x) + (int)floor(eye.z)) & 1 ? s->floor_dark : s->floor_light;
                }
                filter *= colour;
                if (kind == LAMP)
                        return filter;
                if (kind == MIRROR)
                        way -= 2 * dot(way, normal) * normal;
                else if (kind == GLASS)
                        way = refract_or_reflect(way, normal, state);
                else
                        way = scatter(normal, state);
                if (kind != GLASS)
                        eye += 2 * NEAR * normal;
        }
        return 0;
}

/* Adds one path for each pixel of some columns of the frame, from column `first` on. view: eye, right, up, forward. */
kernel void trace(global float4 *sum, global const float4 *shape, global const float4 *look, uint spheres, uint first, uint width, uint pass, uint depth,
                  float4 floor_dark, float4 floor_light, float4 sky_low, float4 sky_high, global const float4 *view)
{
        uint x = first + get_global_id(0), y = get_global_id(1), height = get_global_size(1);
        struct scene s = {shape, look, spheres, floor_dark.xyz, floor_light.xyz, sky_low.xyz, sky_high.xyz};
        uint state = scramble((y * width + x) ^ scramble(pass + 1));
        float across = (2 * (x + chance(&state)) - width) / height, up = 1 - 2 * (y + chance(&state)) / height;
        float3 way = normalize(view[3].xyz + across * view[1].xyz + up * view[2].xyz);

        sum[y * get_global_size(0) + get_global_id(0)] += (float4)(light(&s, view[0].xyz, way, depth, &state), 0);
}
