// simulate: times that can be worked out by hand, bytes per link, and the clusters on which AllReduce has a known floor.
#include "lib/sched/simulate.h"

#include <numeric>
#include <random>

#include "lib/sched/effort.h"
#include "tests/catch.h"
#include "tests/sim/cases.h"

namespace tutti::test {
namespace {

constexpr double kMiB = 1 << 20;

Simulation simulated(const Topology& topology, const char* name, Collective collective, uint64_t bytes,
                     const SimulationOptions& options = {}) {
  const Problem problem{collective, 0, 0, topology.ranks(), false, true, topology};
  const Result<const Algorithm*> algorithm = select(problem, bytes, name);
  REQUIRE(algorithm.ok());
  const std::vector<Program> programs = programs_of(*algorithm.value(), topology, collective);
  Result<Simulation> simulation = simulate(topology, programs, blocks_of(collective, topology.ranks()), bytes, options);
  INFO(simulation.status().text());
  REQUIRE(simulation.ok());
  return std::move(simulation.value());
}

Topology hosts(int count) {
  return Topology::synthetic(concat("host:", count, " core:1")).value();
}
// Of one of those.
const Link kNic = hosts(2).link(0, 1);
const double kEffort = effort::message(kNic, false);
const double kFlight = kNic.latency_s + effort::kSegmentsSeconds;  // of a long message
double added(double bytes) {
  return bytes / effort::kWorkBytesPerSecond;
}

}  // namespace

TEST_CASE("simulate: one message") {
  const double bytes = 100'000;
  const Simulation one = simulated(hosts(2), "oneshot", Collective::Broadcast, 100'000);
  REQUIRE(one.seconds == Approx(kEffort + bytes / kNic.bandwidth_Bps + kFlight + kEffort).epsilon(1e-6));
  REQUIRE(one.messages == 1);
  REQUIRE(one.ranks[1].busy_s == Approx(kEffort).epsilon(1e-6));
  // None of its bytes: latency and handling stay.
  REQUIRE(simulated(hosts(2), "oneshot", Collective::Broadcast, 0).seconds ==
          Approx(2 * kEffort + kNic.latency_s).epsilon(1e-6));
}

TEST_CASE("simulate: what takes longer than can be counted") {
  const Topology slow = cluster({{0, 1}, {1, 1}}, 125, 125);
  const Problem problem{Collective::Broadcast, 0, 0, 2, false, true, slow};
  const std::vector<Program> programs = programs_of(*select(problem, 1, "oneshot").value(), slow, Collective::Broadcast);
  struct Case {
    uint64_t mib;
    size_t tile_bytes;
    bool counts;
  };
  // 23 days; 46 days, in many messages or in one; and more than any clock holds.
  for (const Case& one : {Case{240, 128 << 10, true}, Case{480, 128 << 10, false}, Case{480, 1 << 30, false},
                          Case{1 << 30, size_t{1} << 50, false}}) {
    SimulationOptions options;
    options.tile_bytes = one.tile_bytes;
    const Result<Simulation> simulation = simulate(slow, programs, 1, one.mib << 20, options);
    INFO(one.mib << " MiB in tiles of " << one.tile_bytes);
    REQUIRE(simulation.ok() == one.counts);
    if (one.counts) REQUIRE(simulation.value().seconds == Approx(static_cast<double>(one.mib) * kMiB / 125));
    if (!one.counts) REQUIRE(simulation.status().code() == Code::InvalidArgument);
  }
}

TEST_CASE("simulate: messages share their sender's link") {
  const double bytes = 100'000;
  const Simulation three = simulated(hosts(4), "oneshot", Collective::Broadcast, 100'000);
  REQUIRE(three.seconds == Approx(kEffort + 3 * bytes / kNic.bandwidth_Bps + kFlight + kEffort).epsilon(1e-6));
}

TEST_CASE("simulate: a ring of equal links") {
  const double block = 60'000;
  for (int n : {2, 3, 8}) {
    const double hop = kEffort + block / kNic.bandwidth_Bps + kFlight + kEffort;
    const uint64_t bytes = static_cast<uint64_t>(block) * static_cast<uint64_t>(n);
    INFO(n);
    REQUIRE(simulated(hosts(n), "ring", Collective::ReduceScatter, bytes).seconds ==
            Approx((n - 1) * (hop + added(block))).epsilon(1e-6));
    REQUIRE(simulated(hosts(n), "ring", Collective::AllReduce, bytes).seconds ==
            Approx((n - 1) * (2 * hop + added(block))).epsilon(1e-6));
  }
}

TEST_CASE("simulate: tiles follow each other along a chain") {
  const int n = 5, tiles = 7;
  const double tile = 128 << 10, transfer = tile / kNic.bandwidth_Bps;
  const Simulation chain = simulated(hosts(n), "ring", Collective::Broadcast, tiles * (128 << 10));
  REQUIRE(chain.tiles == tiles);
  REQUIRE(chain.seconds ==
          Approx((n - 1) * (2 * kEffort + transfer + kFlight) + (tiles - 1) * transfer).epsilon(1e-6));
}

TEST_CASE("simulate: in memory a payload is written once and pulled by each") {
  const double bytes = 100'000;
  const Topology topology = Topology::flat(4);
  const Link core = topology.link(0, 1);
  const double message = effort::message(core, true);
  const Simulation four = simulated(topology, "oneshot", Collective::Broadcast, 100'000);
  REQUIRE(four.seconds ==
          Approx(2 * added(bytes) + 3 * message + core.latency_s + message + bytes / core.bandwidth_Bps).epsilon(1e-6));
  for (const LinkUse& use : four.links) REQUIRE(use.in_bytes == (use.rank == 0 ? 0 : bytes));
}

TEST_CASE("simulate: a rank is busy with one thing at a time") {
  // Three inputs are pulled and added in one pass, after the own one was written.
  const double bytes = 100'000;
  const Topology topology = Topology::flat(4);
  const Link core = topology.link(0, 1);
  const double message = effort::message(core, true);
  const Simulation all = simulated(topology, "oneshot", Collective::AllReduce, 100'000);
  REQUIRE(all.ranks[0].busy_s ==
          Approx(added(bytes) + 6 * message + 3 * bytes / core.bandwidth_Bps + added(3 * bytes)).epsilon(1e-6));
  REQUIRE(all.seconds == Approx(all.ranks[0].busy_s + core.latency_s).epsilon(1e-6));
}

TEST_CASE("simulate: ranks that share a core take turns") {
  // Two ranks pull what the third has written; on one core, one after the other.
  const double bytes = 100'000;
  const Topology topology = Topology::flat(3);
  const Link core = topology.link(0, 1);
  const double message = effort::message(core, true), pull = message + added(bytes) + bytes / core.bandwidth_Bps;
  const Simulation shared = simulated(topology, "oneshot", Collective::Broadcast, 100'000, {128 << 10, 3, 0, 1});
  // The root writes, posts, and copies its own output in the meantime.
  const double root = added(bytes) + 2 * message + added(bytes);
  REQUIRE(shared.seconds == Approx(root + 2 * (kSwitchSeconds + pull)).epsilon(1e-6));
  REQUIRE(simulated(topology, "oneshot", Collective::Broadcast, 100'000, {128 << 10, 3, 0, 3}).seconds ==
          simulated(topology, "oneshot", Collective::Broadcast, 100'000).seconds);
}

TEST_CASE("simulate: levels of a network are crossed from outside inwards") {
  const Topology topology = Topology::synthetic("rack:2 host:2 core:1").value();
  const Simulation one = simulated(topology, "oneshot", Collective::Broadcast, 120'000);
  for (const LinkUse& use : one.links) {
    if (use.level == 0) REQUIRE(use.out_bytes == (use.place == 0 ? 240'000 : 0));
    if (use.level == 1) REQUIRE(use.out_bytes == (use.place == 0 ? 360'000 : 0));
    if (use.level == 1) REQUIRE(use.in_bytes == (use.place == 0 ? 0 : 120'000));
  }
}

TEST_CASE("simulate: the same again is the same") {
  const Topology topology = Topology::synthetic("rack:3 host:2+3+1 core:3+1+2+2+1+3").value();
  const Simulation a = simulated(topology, "hierarchical", Collective::AllReduce, 3 << 20);
  const Simulation b = simulated(topology, "hierarchical", Collective::AllReduce, 3 << 20);
  REQUIRE(a.seconds == b.seconds);
  REQUIRE(a.messages == b.messages);
}

TEST_CASE("simulate: events for a picture") {
  const Simulation cut = simulated(hosts(4), "ring", Collective::AllReduce, 1 << 20, {128 << 10, 3, 10});
  REQUIRE(cut.events.size() == 10);
  REQUIRE(cut.events_cut);
  const Simulation all = simulated(hosts(4), "ring", Collective::AllReduce, 1 << 20, {128 << 10, 3, 100'000});
  REQUIRE_FALSE(all.events_cut);
  double last = 0;
  for (const SimulationEvent& event : all.events) {
    REQUIRE(event.begin_s <= event.end_s);
    last = std::max(last, event.end_s);
  }
  REQUIRE(last == Approx(all.seconds));
}

TEST_CASE("simulate: refuses what does not fit") {
  const Topology topology = hosts(4);
  const auto algorithm = [&](const char* name) {
    return select({Collective::AllReduce, 0, 0, 4, false, true, topology}, 0, name).value();
  };
  std::vector<Program> programs = programs_of(*algorithm("ring"), topology, Collective::AllReduce);
  programs[2] = programs_of(*algorithm("oneshot"), topology, Collective::AllReduce)[2];
  REQUIRE(simulate(topology, programs, 1, 1000).status().code() == Code::InternalError);
  programs.pop_back();
  REQUIRE(simulate(topology, programs, 1, 1000).status().code() == Code::InternalError);
  const std::vector<Program> halving = programs_of(*algorithm("halving"), topology, Collective::AllReduce);
  REQUIRE(simulate(topology, halving, 1, 1000, {1, 3, 0}).status().code() == Code::InvalidArgument);
  REQUIRE(simulate(topology, halving, 1, 1000, {64, 0, 0}).status().code() == Code::InvalidArgument);
}

// ---- where a floor is known

namespace {

// However ranks are dealt over the hosts, the algorithm that is chosen needs no more than 1.02 times the floor, and all NICs
// carry the same.
void at_floor(const std::vector<std::pair<int, int>>& places, double nic, double uplink, double floor_s) {
  int ranks = 0;
  for (const auto& [rack, count] : places) ranks += count;
  std::vector<int> deal(static_cast<size_t>(ranks));
  std::iota(deal.begin(), deal.end(), 0);
  std::mt19937 random(3);
  for (int trial = 0; trial < 11; ++trial) {
    const Topology topology = cluster(places, nic, uplink, deal);
    const Simulation simulation = simulated(topology, "", Collective::AllReduce, 16 << 20);
    INFO("deal " << trial);
    CHECK(simulation.seconds >= floor_s * 0.999);
    CHECK(simulation.seconds <= floor_s * 1.02);
    const double share = 2 * (static_cast<double>(places.size()) - 1) / static_cast<double>(places.size()) * 16 * kMiB;
    for (const LinkUse& use : simulation.links)
      if (use.level == 1) {
        CHECK(use.out_bytes == Approx(share).epsilon(0.01));
        CHECK(use.in_bytes == Approx(share).epsilon(0.01));
      }
    std::shuffle(deal.begin(), deal.end(), random);
  }
}

constexpr double kNicBps = 500e6 / 8, kFast = 1e12;

}  // namespace

TEST_CASE("simulate: four hosts of two ranks reach the floor, dealt in any way") {
  at_floor({{0, 2}, {0, 2}, {0, 2}, {0, 2}}, kNicBps, kFast, 1.5 * 16 * kMiB / kNicBps);
}

TEST_CASE("simulate: unequal hosts reach the floor, and all NICs carry the same") {
  at_floor({{0, 3}, {0, 2}, {0, 1}, {0, 2}}, kNicBps, kFast, 1.5 * 16 * kMiB / kNicBps);
}

TEST_CASE("simulate: two racks with slow uplinks reach the floor") {
  // Half of the sums are made in each rack: every byte crosses once, there or back.
  at_floor({{0, 2}, {0, 2}, {1, 2}, {1, 2}}, kNicBps, kNicBps / 4, 16 * kMiB / (kNicBps / 4));
  at_floor({{0, 3}, {0, 2}, {1, 1}, {1, 2}}, kNicBps, kNicBps / 4, 16 * kMiB / (kNicBps / 4));
}

}  // namespace tutti::test
