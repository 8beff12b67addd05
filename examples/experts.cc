// experts: a mixture of experts, spread over the ranks. Each rank has one expert and some tokens. A router sends each token to the rank
// of its expert, the expert changes it, and it returns to where it came from.
//
// The ranks first tell one another by AlltoAll how many tokens will come. Then AlltoAllV carries the tokens there, and another one carries
// them back.
//
// Build: c++ experts.cc -o experts $(pkg-config --cflags --libs tutti)
// Run:   tutti-run -n 4 ./experts
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <tutti/tutti.h>

#include "check.h"
#include "start.h"

namespace {

constexpr int kTokens = 1000;  // of each rank
constexpr int kWidth = 16;     // floats of each token

// Looks random, and is the same in each run. Experts with a low number get more tokens.
int expert_for(int rank, int token, int nranks) {
  const uint32_t mixed = (static_cast<uint32_t>(rank * kTokens + token) * 2654435761u) >> 8;
  const int choice = static_cast<int>(mixed % static_cast<uint32_t>(nranks));
  return static_cast<int>((mixed >> 12) % static_cast<uint32_t>(choice + 1));
}

float value_of(int rank, int token, int i) { return static_cast<float>(rank + token + i); }

// What expert `expert` makes of one value.
float transform(int expert, float value) { return static_cast<float>(expert + 2) * value + static_cast<float>(expert); }

size_t sum(const std::vector<size_t>& counts) {
  size_t total = 0;
  for (const size_t count : counts) total += count;
  return total;
}

}  // namespace

int main() {
  int rank, nranks;
  const tuttiComm_t comm = start("experts", &rank, &nranks);

  // Route: how many tokens go to each expert?
  std::vector<int> expert_of(kTokens);
  std::vector<uint64_t> tokens_to(nranks), tokens_from(nranks);
  for (int token = 0; token < kTokens; ++token) {
    expert_of[token] = expert_for(rank, token, nranks);
    ++tokens_to[expert_of[token]];
  }

  // Each rank tells each other rank how many tokens it will send.
  CHECK(tuttiAlltoAll(tokens_to.data(), tokens_from.data(), 1, tuttiUint64, comm, nullptr));
  std::vector<size_t> sendcounts(nranks), recvcounts(nranks);  // in floats
  for (int peer = 0; peer < nranks; ++peer) {
    sendcounts[peer] = tokens_to[peer] * kWidth;
    recvcounts[peer] = tokens_from[peer] * kWidth;
  }

  // Pack the tokens in the order of their experts. Token t begins at place_of[t].
  std::vector<size_t> next_place(nranks), place_of(kTokens);
  for (int peer = 1; peer < nranks; ++peer) next_place[peer] = next_place[peer - 1] + sendcounts[peer - 1];
  std::vector<float> packed(kTokens * kWidth);
  for (int token = 0; token < kTokens; ++token) {
    place_of[token] = next_place[expert_of[token]];
    next_place[expert_of[token]] += kWidth;
    for (int i = 0; i < kWidth; ++i) packed[place_of[token] + i] = value_of(rank, token, i);
  }

  // Dispatch. Displacements are NULL where the blocks are packed in the order of the ranks.
  std::vector<float> arrived(sum(recvcounts));
  CHECK(tuttiAlltoAllV(packed.data(), sendcounts.data(), nullptr, arrived.data(), recvcounts.data(), nullptr, tuttiFloat, comm, nullptr));

  // The expert of this rank works on all tokens that have come.
  for (float& value : arrived) value = transform(rank, value);

  // Combine: the same blocks travel back.
  std::vector<float> returned(kTokens * kWidth, -1);
  CHECK(tuttiAlltoAllV(arrived.data(), recvcounts.data(), nullptr, returned.data(), sendcounts.data(), nullptr, tuttiFloat, comm, nullptr));

  // Each token is now in its old place. Compare with what this rank computes alone.
  for (int token = 0; token < kTokens; ++token)
    for (int i = 0; i < kWidth; ++i) {
      const float expected = transform(expert_of[token], value_of(rank, token, i));
      const float value = returned[place_of[token] + i];
      if (value != expected) {
        fprintf(stderr, "experts: rank %d: value %d of token %d is %g, not %g\n", rank, i, token, value, expected);
        return 1;
      }
    }

  std::string sent;
  for (const uint64_t tokens : tokens_to) sent += " " + std::to_string(tokens);
  printf("rank %d: tokens sent to each expert:%s; tokens that its own expert got: %zu; all came back right\n", rank, sent.c_str(),
         arrived.size() / kWidth);
  CHECK(tuttiCommDestroy(comm));
  return 0;
}
