// price: the closed forms against the simulator, and what choosing by them costs.
//
// Over collectives, algorithms, topologies and sizes: a price is within kFactor of the simulated time, and the algorithm that is
// cheapest takes at most kRegret times as long, simulated, as the fastest. Prices of what one rank reads again from memory
// (cost::read_again) are higher than the simulator knows, which has no caches: only there they may be.
#include <cmath>
#include <cstdio>

#include "tests/catch.h"
#include "tests/sim/cases.h"

namespace tutti::test {
namespace {

constexpr double kFactor = 2, kRegret = 1.5;

struct Case {
  std::string name;
  Topology topology;
};

std::vector<Case> cases() {
  std::vector<Case> cases;
  for (int ranks : {2, 3, 4, 5, 8, 16}) cases.push_back({concat("flat ", ranks), Topology::flat(ranks)});
  for (const char* text : {"host:4 core:1", "host:7 core:1", "host:2 core:4", "host:4 core:2", "host:4 core:4",
                           "host:4 core:3+2+1+2", "rack:2 host:2 core:2", "rack:2 host:4 core:4",
                           "rack:2 host:2+1 core:3+2+1", "numa:2 core:4", "socket:2 numa:2 core:2", "host:2 npu:8"})
    cases.push_back({text, Topology::synthetic(text).value()});
  const double nic = 500e6 / 8;
  cases.push_back({"slow hosts 2+2+2+2", cluster({{0, 2}, {0, 2}, {0, 2}, {0, 2}}, nic, 1e12)});
  cases.push_back({"slow hosts 3+2+1+2", cluster({{0, 3}, {0, 2}, {0, 1}, {0, 2}}, nic, 1e12)});
  cases.push_back({"slow racks 2+2 2+2", cluster({{0, 2}, {0, 2}, {1, 2}, {1, 2}}, nic, nic / 4)});
  cases.push_back({"slow racks 3+2 1+2", cluster({{0, 3}, {0, 2}, {1, 1}, {1, 2}}, nic, nic / 4)});
  return cases;
}

}  // namespace

TEST_CASE("prices are near the simulator, and choose well") {
  int prices = 0, choices = 0;
  double worst_price = 1, worst_choice = 1, off = 0;
  for (const Case& place : cases())
    for (int c = 0; c < kCollectives; ++c)
      for (const uint64_t bytes : {8u, 512u, 8u << 10, 64u << 10, 256u << 10, 1u << 20, 8u << 20, 64u << 20}) {
        const Topology& topology = place.topology;
        const Collective collective = static_cast<Collective>(c);
        const Problem problem{collective, 0, 0, topology.ranks(), false, true, topology};
        double chosen = 0, best = 0;
        for (const Choice& choice : rank_algorithms(problem, bytes)) {
          const std::vector<Program> programs = programs_of(*choice.algorithm, topology, collective);
          const Result<Simulation> simulation = simulate(topology, programs, blocks_of(collective, topology.ranks()), bytes);
          INFO(place.name << ": " << name_of(collective) << " of " << bytes << " bytes by " << choice.algorithm->name);
          REQUIRE(simulation.ok());
          const double seconds = simulation.value().seconds, ratio = choice.seconds / seconds;
          CAPTURE(choice.seconds, seconds);
          const bool reads_again =
              collective == Collective::AllReduce && std::string_view(choice.algorithm->name) == "oneshot";
          if (!(reads_again && bytes >= 8 << 20)) {
            CHECK(ratio < kFactor);
            worst_price = std::max(worst_price, ratio);
          }
          CHECK(ratio > 1 / kFactor);
          worst_price = std::max(worst_price, 1 / ratio);
          off += std::abs(std::log(ratio));
          ++prices;
          if (chosen == 0) chosen = seconds;
          best = best == 0 ? seconds : std::min(best, seconds);
        }
        INFO(place.name << ": " << name_of(collective) << " of " << bytes << " bytes: chosen " << chosen << " s, best "
                        << best << " s");
        CHECK(chosen <= kRegret * best);
        worst_choice = std::max(worst_choice, chosen / best);
        ++choices;
      }
  std::printf(
      "price: %d prices, off by %.0f %% on average (geometric), %.2f x at worst; %d choices, %.2f x the best at worst\n",
      prices, 100 * (std::exp(off / prices) - 1), worst_price, choices, worst_choice);
}

}  // namespace tutti::test
