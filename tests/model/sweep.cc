// sweep: every algorithm x collective x root x in place x number of ranks x topology is proved by the checker.
//
// What is swept is found in the registry: a new algorithm is proved without a line here. The last test prints what was
// proved. SWEEP_SEED repeats a run's random topologies; SWEEP_RANKS limits the ranks (for sanitizers, which are slow).
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <set>

#include "tests/catch.h"
#include "tests/model/prove.h"

namespace tutti::test {
namespace {

int most_ranks() {
  const char* given = std::getenv("SWEEP_RANKS");
  return given ? std::atoi(given) : 1024;
}

std::vector<int> roots_of(Collective collective, int ranks) {
  std::vector<int> roots(static_cast<size_t>(has_root(collective) ? ranks : 1));
  std::iota(roots.begin(), roots.end(), 0);
  if (roots.size() > 16) {
    const std::set<int> few{0, 1, ranks / 2, ranks - 1};
    roots.assign(few.begin(), few.end());
  }
  return roots;
}

// All problems on one topology. must_serve: each collective that is offered is taken by some algorithm.
void sweep(const Topology& topology, const std::function<bool(const Algorithm&)>& wanted, bool must_serve = false) {
  if (topology.ranks() > most_ranks()) return;
  for (int c = 0; c < kCollectives; ++c) {
    const Collective collective = static_cast<Collective>(c);
    const bool blocks = blocks_of(collective, 2) > 1;
    for (int root : roots_of(collective, topology.ranks()))
      for (bool in_place : {false, true})
        for (bool uniform : {true, false}) {
          if (!uniform && !blocks) continue;
          const Claim claim{collective, root, in_place, uniform};
          bool served = false;
          for (const Algorithm& algorithm : all_algorithms()) {
            if (!wanted(algorithm)) continue;
            const std::string wrong = prove(algorithm, topology, claim);
            if (!wrong.empty()) FAIL(wrong);
            served |= algorithm.applies({collective, root, 0, topology.ranks(), in_place, uniform, topology});
          }
          // AlltoAll of unequal blocks is not offered in place.
          const bool offered = uniform || !in_place || collective != Collective::AlltoAll;
          if (must_serve && offered && !served)
            FAIL(name_of(collective) << " is not served for " << topology.ranks() << " ranks");
        }
  }
}

constexpr auto kAll = [](const Algorithm&) { return true; };

Topology from_sizes(const std::vector<int>& sizes) {
  std::string text = concat("host:", sizes.size(), " core:");
  for (size_t i = 0; i < sizes.size(); ++i) text += concat(i == 0 ? "" : "+", sizes[i]);
  Result<Topology> topology = Topology::synthetic(text);
  REQUIRE(topology.ok());
  return topology.value();
}

Topology from_text(const char* text) {
  Result<Topology> topology = Topology::synthetic(text);
  INFO(text);
  REQUIRE(topology.ok());
  return topology.value();
}

}  // namespace

TEST_CASE("1 to 64 ranks side by side") {
  for (int ranks = 1; ranks <= 64; ++ranks) sweep(Topology::flat(ranks), kAll, true);
}

TEST_CASE("every way to group up to 8 ranks") {
  for (int ranks = 1; ranks <= 8; ++ranks)
    for (int cuts = 0; cuts < 1 << (ranks - 1); ++cuts) {
      std::vector<int> sizes{1};
      for (int i = 0; i < ranks - 1; ++i)
        if (cuts >> i & 1)
          sizes.push_back(1);
        else
          ++sizes.back();
      sweep(from_sizes(sizes), kAll, true);
    }
}

TEST_CASE("places in places") {
  for (const char* text :
       {"rack:2 host:2 core:2", "rack:2 host:3 core:4", "rack:3 host:2 core:3", "rack:2 host:1+3 core:2+1+4+3",
        "rack:3 host:1+2+3 core:1+2+3+1+2+5", "host:2 numa:2 core:4", "host:3 socket:2 core:1+2+3+4+1+1",
        "site:2 rack:2 host:2 core:2", "site:2 rack:1+2 host:2+1+3 numa:1+2+1+2+1+1 core:2+1+3+1+2+2+1+2",
        "rack:1 host:1 core:7", "host:5 core:1", "rack:4 host:1 core:4", "host:16 core:4", "rack:4 host:4 core:4"})
    sweep(from_text(text), kAll, true);
}

TEST_CASE("ranks dealt at random over uneven places") {
  const char* given = std::getenv("SWEEP_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  std::printf("model: seed %u (SWEEP_SEED=%u repeats the random topologies)\n", seed, seed);
  std::mt19937 random(seed);
  const auto below = [&](int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random); };
  for (int trial = 0; trial < 60; ++trial) {
    const int ranks = 2 + below(trial < 50 ? 22 : 60), depth = 2 + below(3);
    std::vector<Topology::Level> levels;
    for (int i = 0; i < depth; ++i) levels.push_back({concat("level", i), {1e-6, 1e9}});
    std::vector<std::vector<uint64_t>> paths(static_cast<size_t>(ranks));
    for (auto& path : paths)
      for (int i = 0; i < depth; ++i) path.push_back(static_cast<uint64_t>(below(1 + below(5))));
    INFO("seed " << seed << " trial " << trial);
    sweep(Topology::from_paths(levels, paths), kAll, true);
  }
}

TEST_CASE("in place on some ranks only") {
  std::mt19937 random(1);
  for (int ranks = 2; ranks <= 24; ++ranks)
    for (const Topology& topology :
         {Topology::flat(ranks), from_sizes({1, ranks - 1}), from_sizes({ranks / 2, ranks - ranks / 2})})
      for (int c = 0; c < kCollectives; ++c)
        for (const Algorithm& algorithm : all_algorithms()) {
          const Collective collective = static_cast<Collective>(c);
          Claim claim{collective, has_root(collective) ? static_cast<int>(random() % static_cast<unsigned>(ranks)) : 0};
          for (int rank = 0; rank < ranks; ++rank) claim.in_place_of.push_back(random() % 2 == 0);
          const std::string wrong = prove(algorithm, topology, claim);
          if (!wrong.empty()) FAIL(wrong);
        }
}

TEST_CASE("up to 1024 ranks") {
  for (int ranks : {65, 96, 100, 127, 128, 255, 257, 512, 1000, 1024}) {
    if (ranks > most_ranks()) break;
    const Topology topology =
        ranks % 8 == 0 ? from_text(concat("host:", ranks / 8, " core:8").c_str()) : Topology::flat(ranks);
    for (int c = 0; c < kCollectives; ++c)
      for (const Algorithm& algorithm : all_algorithms()) {
        const Claim claim{static_cast<Collective>(c), has_root(static_cast<Collective>(c)) ? ranks / 3 : 0};
        const Problem problem{claim.collective, claim.root, 0, ranks, false, true, topology};
        if (!algorithm.applies(problem)) continue;
        // A look at one rank tells what all cost; the largest are left to the sizes below.
        const Program sample = program_of(algorithm, problem);
        if ((sample.sources.size() + sample.targets.size()) * static_cast<size_t>(ranks) > 1'100'000) continue;
        const std::string wrong = prove(algorithm, topology, claim);
        if (!wrong.empty()) FAIL(wrong);
      }
  }
}

TEST_CASE("what was proved") {
  const auto thousands = [](long number) {
    std::string text = std::to_string(number);
    for (size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
    return text;
  };
  std::printf("model: %s schedules proved (%s programs)\n", thousands(proved.schedules).c_str(),
              thousands(proved.programs).c_str());
  REQUIRE(proved.schedules > 0);
}

}  // namespace tutti::test
