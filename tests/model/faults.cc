// faults: programs that are wrong in one place. The checker must refuse each, and say where.
//
// Faults are planted at every work of several algorithms, so that the checker is not right by luck.
#include <functional>

#include "tests/catch.h"
#include "tests/model/prove.h"

namespace tutti::test {
namespace {

struct Case {
  const char* algorithm;
  Claim claim;
  Topology topology;
};

std::vector<Case> cases() {
  std::vector<Case> cases;
  for (bool in_place : {false, true}) {
    for (const char* name : {"oneshot", "twoshot", "ring", "doubling", "halving", "tree", "dtree"})
      cases.push_back({name, {Collective::AllReduce, 0, in_place}, Topology::flat(5)});
    cases.push_back({"hierarchical", {Collective::AllReduce, 0, in_place}, Topology::synthetic("host:2 core:3+2").value()});
    cases.push_back({"ring", {Collective::ReduceScatter, 0, in_place}, Topology::flat(4)});
    cases.push_back({"bruck", {Collective::AllGather, 0, in_place}, Topology::flat(6)});
    cases.push_back({"bruck", {Collective::AlltoAll, 0, in_place}, Topology::flat(6)});
    cases.push_back({"pairwise", {Collective::AlltoAll, 0, in_place}, Topology::flat(4)});
    cases.push_back({"tree", {Collective::Gather, 2, in_place}, Topology::flat(7)});
    cases.push_back({"tree", {Collective::Reduce, 1, in_place}, Topology::flat(7)});
    cases.push_back({"linear", {Collective::Scatter, 1, in_place}, Topology::flat(4)});
  }
  return cases;
}

const Algorithm& named(const std::string& name) {
  for (const Algorithm& algorithm : all_algorithms())
    if (name == algorithm.name) return algorithm;
  FAIL("no algorithm " << name);
  std::abort();
}

// Plants a fault at each of a program's works: fault(programs, rank, work) returns whether it could be planted there.
int plant(const std::function<bool(std::vector<Program>&, size_t, uint32_t)>& fault) {
  int planted = 0;
  for (const Case& c : cases()) {
    const std::vector<Program> right = programs_of(named(c.algorithm), c.topology, c.claim);
    const Status status = check(c.claim, right);
    INFO(c.algorithm << " " << name_of(c.claim.collective) << ": " << status.text());
    REQUIRE(status.ok());
    for (size_t rank = 0; rank < right.size(); ++rank)
      for (uint32_t work = 0; work < right[rank].works.size(); ++work) {
        std::vector<Program> wrong = right;
        if (!fault(wrong, rank, work)) continue;
        ++planted;
        INFO("rank " << rank << " work " << work << ": " << text_of(right[rank], right[rank].works[work]));
        REQUIRE_FALSE(check(c.claim, wrong).ok());
      }
  }
  return planted;
}

// Whether `to` waits for `from` also without the direct dependency.
bool implied(const Program& program, uint32_t from, uint32_t to, bool direct = true) {
  const Work& work = program.works[from];
  for (uint32_t k = work.first_dependent; k < work.first_dependent + work.dependents; ++k) {
    const uint32_t next = program.dependents[k];
    if (next == to ? !direct : next < to && implied(program, next, to, false)) return true;
  }
  return false;
}

// The last dependent of a work.
uint32_t& last_dependent(Program& program, uint32_t work) {
  return program.dependents[program.works[work].first_dependent + program.works[work].dependents - 1];
}

// A schedule without one of its steps; who waited for it waits for what it waited for.
Schedule without(const Schedule& schedule, uint32_t dropped) {
  Schedule rest = schedule;
  rest.steps.erase(rest.steps.begin() + dropped);
  rest.dependencies.erase(rest.dependencies.begin() + dropped);
  for (auto& dependencies : rest.dependencies) {
    std::vector<uint32_t> kept;
    for (uint32_t dependency : dependencies) {
      if (dependency == dropped)
        kept.insert(kept.end(), schedule.dependencies[dropped].begin(), schedule.dependencies[dropped].end());
      if (dependency != dropped) kept.push_back(dependency - (dependency > dropped));
    }
    dependencies = kept;
  }
  return rest;
}

}  // namespace

TEST_CASE("a dropped step is caught") {
  int planted = 0;
  for (const Case& c : cases()) {
    const std::vector<Program> right = programs_of(named(c.algorithm), c.topology, c.claim);
    for (int rank = 0; rank < c.topology.ranks(); ++rank) {
      const Problem problem{c.claim.collective, c.claim.root, rank, c.topology.ranks(), c.claim.in_place, true, c.topology};
      Builder builder(problem);
      named(c.algorithm).build(problem, builder);
      const Schedule schedule = builder.finish();
      for (uint32_t step = 0; step < schedule.steps.size(); ++step, ++planted) {
        std::vector<Program> wrong = right;
        wrong[static_cast<size_t>(rank)] = fuse(without(schedule, step));
        INFO(c.algorithm << " " << name_of(c.claim.collective) << " rank " << rank << " without step " << step);
        REQUIRE_FALSE(check(c.claim, wrong).ok());
      }
    }
  }
  REQUIRE(planted > 500);
}

TEST_CASE("works that cannot be done in one pass are caught") {
  const auto sends_all = [](const Program& program, const Work& work, uint32_t next) {
    const Work& other = program.works[next];
    return other.kind == Work::Kind::Send && other.dependencies == 1 && other.ref == work.ref && other.chunks == work.chunks;
  };
  REQUIRE(plant([&](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            Work& work = program.works[index];
            if (work.dependents == 0 || sends_all(program, work, last_dependent(program, index))) return false;
            work.into_send = last_dependent(program, index);
            return true;
          }) > 100);
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            Work& work = program.works[index];
            if (work.dependents == 0 || work.into_copy == last_dependent(program, index)) return false;
            work.into_copy = last_dependent(program, index);
            return true;
          }) > 100);
}

TEST_CASE("scratch is not read after the copy that may have been made without it") {
  const Claim claim{Collective::AllReduce};
  Program program;
  program.scratch_copies = 1;
  program.sources = {{-1, 0, 0, input(0)}, {-1, 0, 0, scratch(0)}, {-1, 0, 0, scratch(0)}};
  program.dependents = {1, 2};
  program.works = {{Work::Kind::Combine, scratch(0), 1, 0, 1, 0, 0, 1},
                   {Work::Kind::Combine, output(0), 1, 1, 1, 1, 1, 1},
                   {Work::Kind::Combine, output(0), 1, 2, 1, 1, 2, 0}};
  REQUIRE(check(claim, {&program, 1}).ok());
  program.works[0].into_copy = 1;
  CHECK(check(claim, {&program, 1}).text().find("reads scratch chunk 0 of rank 0, which is undefined") != std::string::npos);
  program.works.pop_back();  // without the second copy it is right
  program.works[1].dependents = 0;
  CHECK(check(claim, {&program, 1}).ok());
}

TEST_CASE("a swapped chunk is caught") {
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            Work& work = program.works[index];
            const uint32_t copies = work.ref.buffer == Buffer::Scratch ? program.scratch_copies : 1;
            if (program.chunks * copies < 2) return false;
            work.ref.chunk = (work.ref.chunk + 1) % (program.chunks * copies);
            return true;
          }) > 200);
}

TEST_CASE("a removed dependency is caught") {
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            if (program.works[index].dependents == 0) return false;
            const uint32_t to = last_dependent(program, index);
            if (implied(program, index, to)) return false;
            --program.works[index].dependents;
            --program.works[to].dependencies;
            return true;
          }) > 200);
}

TEST_CASE("a reversed dependency is caught") {
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            if (program.works[index].dependents == 0) return false;
            uint32_t& to = last_dependent(program, index);
            --program.works[to].dependencies;
            ++program.works[index].dependencies;
            to = index;
            return true;
          }) > 200);
}

TEST_CASE("a contribution counted twice is caught") {
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            Work& work = program.works[index];
            if (work.kind != Work::Kind::Combine) return false;
            for (uint32_t k = work.first; k < work.first + work.count; ++k)
              if (program.sources[k].peer < 0) {
                // The sources move to the end, the local one once more behind them.
                const std::vector<Source> sources(program.sources.begin() + work.first,
                                                  program.sources.begin() + work.first + work.count);
                const Source twice = program.sources[k];
                work.first = static_cast<uint32_t>(program.sources.size());
                program.sources.insert(program.sources.end(), sources.begin(), sources.end());
                program.sources.push_back(twice);
                ++work.count;
                return true;
              }
            return false;
          }) > 50);
}

TEST_CASE("a misnumbered message is caught") {
  for (int change : {1, -1})
    REQUIRE(plant([&](std::vector<Program>& programs, size_t rank, uint32_t index) {
              Program& program = programs[rank];
              const Work& work = program.works[index];
              if (work.kind == Work::Kind::Send)
                program.targets[work.first].message += static_cast<uint32_t>(change);
              else if (program.sources[work.first].peer >= 0)
                program.sources[work.first].message += static_cast<uint32_t>(change);
              else
                return false;
              return true;
            }) > 200);
}

TEST_CASE("two messages of a lane in the wrong order deadlock or carry the wrong chunk") {
  REQUIRE(plant([](std::vector<Program>& programs, size_t rank, uint32_t index) {
            Program& program = programs[rank];
            const Work& work = program.works[index];
            if (work.kind != Work::Kind::Send) return false;
            Target& one = program.targets[work.first];
            for (Target& other : program.targets)
              if (&other != &one && other.peer == one.peer && other.channel == one.channel) {
                std::swap(one.message, other.message);
                return true;
              }
            return false;
          }) > 50);
}

TEST_CASE("recursive doubling in place, without scratch, deadlocks") {
  for (int ranks : {2, 4, 8}) {
    const Topology topology = Topology::flat(ranks);
    std::vector<Program> programs;
    for (int rank = 0; rank < ranks; ++rank) {
      const Problem problem{Collective::AllReduce, 0, rank, ranks, true, true, topology};
      Builder builder(problem);
      builder.copy(input(0), output(0));
      for (int distance = 1; distance < ranks; distance *= 2) {
        builder.send(rank ^ distance, output(0));
        builder.recv_reduce(rank ^ distance, output(0));
      }
      programs.push_back(fuse(builder.finish()));
    }
    const Status status = check({Collective::AllReduce, 0, true}, programs);
    REQUIRE_FALSE(status.ok());
    REQUIRE_THAT(status.text(),
                 Catch::Contains("deadlock") && Catch::Contains("rank 0 work") && Catch::Contains("rank 1 work"));
  }
}

TEST_CASE("scratch that is too small is caught") {
  for (const Case& c : cases()) {
    std::vector<Program> programs = programs_of(named(c.algorithm), c.topology, c.claim);
    bool smaller = false;
    for (Program& program : programs)
      if (program.scratch_copies > 0) --program.scratch_copies, smaller = true;
    if (!smaller) continue;
    INFO(c.algorithm << " " << name_of(c.claim.collective));
    const Status status = check(c.claim, programs);
    REQUIRE_FALSE(status.ok());
    REQUIRE_THAT(status.text(), Catch::Contains("scratch"));
  }
}

TEST_CASE("a run longer than the largest message is caught") {
  const Claim claim{Collective::AllReduce};
  std::vector<Program> programs = programs_of(named("halving"), Topology::flat(8), claim);
  for (Program& program : programs) program.largest_message = 1;
  REQUIRE_THAT(check(claim, programs).text(), Catch::Contains("largest message"));
  programs[3].largest_message = 2;
  REQUIRE_THAT(check(claim, programs).text(), Catch::Contains("rank 3 has largest message 2"));
}

TEST_CASE("shapes, bounds and rights are checked") {
  const Topology topology = Topology::flat(2);
  const auto checked = [&](Collective collective, const std::function<void(Builder&, int)>& build) {
    std::vector<Program> programs;
    for (int rank = 0; rank < 2; ++rank) {
      const Problem problem{collective, 0, rank, 2, false, true, topology};
      Builder builder(problem);
      build(builder, rank);
      programs.push_back(fuse(builder.finish()));
    }
    return check({collective}, programs).text();
  };
  using Catch::Contains;
  REQUIRE_THAT(checked(Collective::AllReduce,
                       [](Builder& b, int rank) {
                         b.shape(rank == 0 ? 1 : 2);
                         b.copy(input(0), output(0));
                       }),
               Contains("rank 1 cuts 2 chunks"));
  REQUIRE_THAT(checked(Collective::AllReduce,
                       [](Builder& b, int) {
                         b.shape(1, 1);
                         b.copy(scratch(0), output(0));
                       }),
               Contains("undefined"));
  REQUIRE_THAT(checked(Collective::AllReduce, [](Builder& b, int) { b.copy(input(0), output(0)); }),
               Contains("lacks rank 1"));
  REQUIRE_THAT(checked(Collective::AllReduce, [](Builder&, int) {}), Contains("was never written"));
  REQUIRE_THAT(checked(Collective::AllReduce, [](Builder& b, int) { b.copy(output(0), input(0)); }),
               Contains("writes to input"));
  REQUIRE_THAT(checked(Collective::Reduce, [](Builder& b, int) { b.copy(input(0), output(0)); }), Contains("rank 1 work 0"));
  REQUIRE_THAT(checked(Collective::ReduceScatter, [](Builder& b, int) { b.copy(input(0), output(0)); }),
               Contains("writes output chunk 0, which this rank has not"));
  REQUIRE_THAT(checked(Collective::Broadcast, [](Builder& b, int) { b.copy(input(0), output(0)); }), Contains("undefined"));
  REQUIRE_THAT(checked(Collective::Broadcast,
                       [](Builder& b, int rank) {
                         b.copy(input(0), output(0));
                         if (rank == 0) b.send(1, input(0));
                       }),
               Contains("never received"));
  REQUIRE_THAT(
      checked(Collective::AllGather, [](Builder& b, int rank) { b.copy(input(static_cast<uint32_t>(rank)), output(0)); }),
      Contains("differ in size"));
}

TEST_CASE("all-to-all of unequal blocks goes straight") {
  // Through scratch, or over a third rank, a block would be in memory of another size.
  const Topology topology = Topology::flat(4);
  const Claim claim{Collective::AlltoAll, 0, false, true};
  std::vector<Program> programs = programs_of(named("bruck"), topology, claim);
  REQUIRE(check(claim, programs).ok());
  REQUIRE_THAT(check({Collective::AlltoAll, 0, false, false}, programs).text(), Catch::Contains("another size"));
}

}  // namespace tutti::test
