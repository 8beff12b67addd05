// gradients: data-parallel training. Each rank has samples of its own. A linear model is fitted to all of them by gradient descent: in each
// step every rank computes the gradient on its samples, and AllReduce with tuttiAvg averages the gradients of all ranks.
//
// The gradient is cut into buckets. While the average of one bucket is on its way on a stream, the next bucket is computed.
//
// Build: c++ gradients.cc -o gradients $(pkg-config --cflags --libs tutti)
// Run:   tutti-run -n 4 ./gradients
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include <tutti/tutti.h>

#include "check.h"
#include "start.h"

namespace {

constexpr int kWeights = 64, kBuckets = 4, kBucket = kWeights / kBuckets;
constexpr int kSamples = 256;  // of each rank
constexpr int kSteps = 40;
constexpr float kLearningRate = 1;

// The samples of one rank: inputs[s] and the output that the model should give for it.
struct Data {
  std::vector<float> inputs = std::vector<float>(kSamples * kWeights);
  std::vector<float> outputs = std::vector<float>(kSamples);
};

// Numbers from -1 to 1 that look random and are the same in each run.
float next_number(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  return static_cast<float>(*state >> 8) / 8388608.0f - 1.0f;
}

// The outputs follow from weights that the model has to find. Weight w is to become (w % 7) - 3.
Data make_data(int rank) {
  Data data;
  uint32_t state = 12345u + 1000u * static_cast<uint32_t>(rank);
  for (int s = 0; s < kSamples; ++s)
    for (int w = 0; w < kWeights; ++w) {
      const float input = next_number(&state);
      data.inputs[s * kWeights + w] = input;
      data.outputs[s] += input * static_cast<float>(w % 7 - 3);
    }
  return data;
}

// What the model gives for each sample, less what it should give. Returns the mean of the squares: the loss.
float compute_errors(const Data& data, const std::vector<float>& weights, std::vector<float>* errors) {
  float loss = 0;
  for (int s = 0; s < kSamples; ++s) {
    float error = -data.outputs[s];
    for (int w = 0; w < kWeights; ++w) error += data.inputs[s * kWeights + w] * weights[w];
    (*errors)[s] = error;
    loss += error * error / kSamples;
  }
  return loss;
}

void compute_bucket(const Data& data, const std::vector<float>& errors, int bucket, float* gradient) {
  for (int w = bucket * kBucket; w < (bucket + 1) * kBucket; ++w) {
    gradient[w] = 0;
    for (int s = 0; s < kSamples; ++s) gradient[w] += 2 * errors[s] * data.inputs[s * kWeights + w] / kSamples;
  }
}

// The loss over the samples of all ranks.
float average(float loss, tuttiComm_t comm) {
  CHECK(tuttiAllReduce(&loss, &loss, 1, tuttiFloat, tuttiAvg, comm, nullptr));
  return loss;
}

}  // namespace

int main() {
  int rank, nranks;
  const tuttiComm_t comm = start("gradients", &rank, &nranks);
  tuttiStream_t stream;
  CHECK(tuttiStreamCreate(&stream));

  const Data data = make_data(rank);
  std::vector<float> weights(kWeights), gradient(kWeights), errors(kSamples);
  const float first_loss = average(compute_errors(data, weights, &errors), comm);
  for (int step = 0; step < kSteps; ++step) {
    compute_errors(data, weights, &errors);
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      compute_bucket(data, errors, bucket, gradient.data());
      float* values = gradient.data() + bucket * kBucket;
      CHECK(tuttiAllReduce(values, values, kBucket, tuttiFloat, tuttiAvg, comm, stream));  // in place; returns at once
    }
    CHECK(tuttiStreamSynchronize(stream));  // now all buckets are averages
    for (int w = 0; w < kWeights; ++w) weights[w] -= kLearningRate * gradient[w];
  }
  const float last_loss = average(compute_errors(data, weights, &errors), comm);
  if (!(last_loss < first_loss / 1000)) {
    fprintf(stderr, "gradients: rank %d: the loss went from %g to %g only\n", rank, first_loss, last_loss);
    return 1;
  }

  // AllReduce gives all ranks the same bits. Ranks that begin with the same weights therefore keep the same weights.
  std::vector<float> weights_of_rank_0(kWeights);
  CHECK(tuttiBroadcast(weights.data(), weights_of_rank_0.data(), kWeights, tuttiFloat, 0, comm, nullptr));
  if (std::memcmp(weights.data(), weights_of_rank_0.data(), kWeights * sizeof(float)) != 0) {
    fprintf(stderr, "gradients: rank %d has other weights than rank 0\n", rank);
    return 1;
  }
  CHECK(tuttiBarrier(comm, nullptr));  // all ranks have compared
  if (rank == 0)
    printf("ranks: %d, steps: %d; the loss went from %g to %g, and all ranks have the same weights\n", nranks, kSteps, first_loss, last_loss);

  CHECK(tuttiStreamDestroy(stream));
  CHECK(tuttiCommDestroy(comm));
  return 0;
}
