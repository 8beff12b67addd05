// loads: what was put in is there, in its time, however often slots were widened; and a simulation's loads are the bytes of its links.
#include "lib/sched/loads.h"

#include "lib/sched/select.h"
#include "lib/sched/simulate.h"
#include "tests/catch.h"
#include "tests/sim/cases.h"

namespace tutti::test {
namespace {

double sum_of(const Loads& loads, size_t row) {
  double sum = 0;
  for (size_t slot = 0; slot < loads.slots(); ++slot) sum += loads.at(row, slot);
  return sum;
}

}  // namespace

TEST_CASE("loads: evenly over the slots that it takes") {
  Loads loads(2, 4);  // slots of a nanosecond
  loads.add(0, 30, 500, 2000);
  REQUIRE(loads.slot_s() == Approx(1e-9));
  REQUIRE(loads.at(0, 0) == Approx(10));
  REQUIRE(loads.at(0, 1) == Approx(20));
  REQUIRE(loads.at(0, 2) == 0);
  REQUIRE(sum_of(loads, 1) == 0);
  loads.add(0, 1, 7, 7);  // no time: nothing
  REQUIRE(sum_of(loads, 0) == Approx(30));
}

TEST_CASE("loads: slots widen") {
  Loads loads(2, 4);
  for (size_t slot = 0; slot < 4; ++slot) loads.add(1, static_cast<double>(slot + 1), static_cast<Picoseconds>(slot) * 1000, static_cast<Picoseconds>(slot + 1) * 1000);
  loads.add(0, 5, 15'000, 16'000);
  REQUIRE(loads.slot_s() == Approx(4e-9));
  REQUIRE(loads.at(1, 0) == Approx(10));
  REQUIRE(sum_of(loads, 1) == Approx(10));
  REQUIRE(loads.at(0, 3) == Approx(5));
}

TEST_CASE("loads: of a simulation") {
  const Topology topology = Topology::synthetic("host:2 core:3").value();
  const Problem problem{Collective::AllReduce, 0, 0, 6, false, true, topology};
  const std::vector<Program> programs = programs_of(*select(problem, 1 << 20, "ring").value(), topology, Collective::AllReduce);
  SimulationOptions options;
  options.load_slots = 64;
  options.most_events = 100'000;
  double share = 0;
  size_t reports = 0;
  options.progress = [&](double now) {
    REQUIRE(now >= share);
    REQUIRE(now <= 1);
    share = now;
    ++reports;
  };
  const Result<Simulation> result = simulate(topology, programs, 1, 200 << 20, options);
  REQUIRE(result.ok());
  const Simulation& simulation = result.value();
  REQUIRE(reports > 0);
  REQUIRE(simulation.loads.slot_s() * 64 >= simulation.seconds);
  for (size_t i = 0; i < simulation.links.size(); ++i) {
    const LinkUse& use = simulation.links[i];
    INFO("level " << use.level << " place " << use.place);
    CHECK(sum_of(simulation.loads, 2 * i) == Approx(use.out_bytes).epsilon(1e-4));
    CHECK(sum_of(simulation.loads, 2 * i + 1) == Approx(use.in_bytes).epsilon(1e-4));
    for (size_t slot = 0; slot < simulation.loads.slots(); ++slot)
      CHECK(simulation.loads.at(2 * i, slot) <= 1.001 * use.link.bandwidth_Bps * simulation.loads.slot_s());
  }
  for (size_t rank = 0; rank < 6; ++rank)
    CHECK(sum_of(simulation.loads, 2 * simulation.links.size() + rank) == Approx(simulation.ranks[rank].busy_s).epsilon(1e-6));

  // Watching changes nothing.
  const Result<Simulation> unwatched = simulate(topology, programs, 1, 200 << 20);
  REQUIRE(unwatched.value().seconds == simulation.seconds);
  // A payload in memory is noticed later than it was sent, and a Combine of the peer takes it.
  size_t in_memory = 0;
  for (const SimulationEvent& event : simulation.events) {
    if (event.kind != SimulationEvent::Kind::InMemory) continue;
    ++in_memory;
    REQUIRE(event.arrival_s > event.begin_s);
    REQUIRE(programs[static_cast<size_t>(event.peer)].works[event.peer_work].kind == Work::Kind::Combine);
  }
  REQUIRE(in_memory > 0);
}

}  // namespace tutti::test
