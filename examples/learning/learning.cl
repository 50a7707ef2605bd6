/* SPDX-License-Identifier: Apache-2.0
 * A network of two layers: pixels -> hidden (rectified) -> digits (softmax). One work item for each figure that is computed. */

/* out[sample][unit] = what unit makes of a sample; the unit's last weight is its bias. `first`: the batch begins with this sample. */
kernel void layer(global const float *in, uint inputs, uint first, global const float *weight, global float *out, uint rectify)
{
        size_t sample = get_global_id(0), unit = get_global_id(1), units = get_global_size(1);
        global const float *x = in + (first + sample) * inputs, *w = weight + unit * (inputs + 1);
        float sum = w[inputs];

        for (uint i = 0; i < inputs; i++)
                sum += w[i] * x[i];
        out[sample * units + unit] = rectify ? max(sum, 0.0f) : sum;
}

/* What is wrong with each answer: softmax minus the truth; and the sample's loss. One work item a sample. */
kernel void judge(global const float *out, uint units, uint first, global const int *truth, global float *wrong, global float *loss)
{
        size_t sample = get_global_id(0);
        global const float *o = out + sample * units;
        int right = truth[first + sample];
        float most = o[0], sum = 0;

        for (uint u = 1; u < units; u++)
                most = max(most, o[u]);
        for (uint u = 0; u < units; u++)
                sum += exp(o[u] - most);
        for (uint u = 0; u < units; u++)
                wrong[sample * units + u] = exp(o[u] - most) / sum - (u == (uint)right);
        loss[first + sample] = most + log(sum) - o[right];
}

/* The part of that which each hidden unit answers for. */
kernel void blame(global const float *wrong, uint units, global const float *weight, global const float *hidden, global float *share)
{
        size_t sample = get_global_id(0), h = get_global_id(1), hiddens = get_global_size(1);
        float sum = 0;

        for (uint u = 0; u < units; u++)
                sum += wrong[sample * units + u] * weight[u * (hiddens + 1) + h];
        share[sample * hiddens + h] = hidden[sample * hiddens + h] > 0 ? sum : 0;
}

/* Each weight moves against the slope, with momentum. */
kernel void learn(global const float *in, uint first, global const float *wrong, uint samples, float rate, float momentum, global float *speed,
                  global float *weight)
{
        size_t unit = get_global_id(0), units = get_global_size(0), i = get_global_id(1), inputs = get_global_size(1) - 1, at = unit * (inputs + 1) + i;
        float slope = 0;

        for (uint s = 0; s < samples; s++)
                slope += wrong[s * units + unit] * (i == inputs ? 1 : in[(first + s) * inputs + i]);
        speed[at] = momentum * speed[at] - rate * slope / samples;
        weight[at] += speed[at];
}
