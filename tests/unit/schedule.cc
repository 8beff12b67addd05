// schedule: dependencies as the builder derives them, what fuse joins and what it must leave apart, printing, selection.
#include "lib/sched/builder.h"
#include "lib/sched/print.h"
#include "lib/sched/select.h"
#include "tests/catch.h"

namespace tutti {
namespace {

using Edges = std::vector<std::vector<uint32_t>>;

const Topology kFour = Topology::flat(4);
const Problem kProblem{Collective::AllReduce, 0, 0, 4, false, true, kFour};
const Problem kInPlace{Collective::AllReduce, 0, 0, 4, true, true, kFour};

// One line per work, without the line of shape.
std::string works_of(Builder& builder) {
  const std::string text = text_of(fuse(builder.finish()));
  return text.substr(text.find('\n') + 1);
}

}  // namespace

TEST_CASE("builder: read after write, write after read, write after write") {
  Builder builder(kProblem);
  builder.shape(2, 1, 2);
  builder.copy(input(0), output(0));  // 0
  builder.send(1, output(0));         // 1: reads what 0 wrote
  builder.send(2, output(0));         // 2: too
  builder.recv(1, output(0));         // 3: waits for both readers, and so need not name 0
  builder.recv(2, output(0));         // 4: nobody read 3
  builder.copy(input(1), output(1));  // 5: other memory
  builder.send(3, output(0), 2);      // 6: a run over both
  builder.recv(3, scratch(1));        // 7
  REQUIRE(builder.finish().dependencies == Edges{{}, {0}, {0}, {1, 2}, {3}, {}, {4, 5}, {}});
}

TEST_CASE("builder: a run that repeats a dependency names it once") {
  Builder builder(kProblem);
  builder.shape(4, 0, 4);
  builder.recv(1, output(0), 4);
  builder.send(2, output(0), 4);
  builder.recv_reduce(1, output(0), 4);
  REQUIRE(builder.finish().dependencies == Edges{{}, {0}, {1}});
}

TEST_CASE("builder: in place, input and output are one memory") {
  const auto build = [](const Problem& problem) {
    Builder builder(problem);
    builder.send(1, input(0));
    builder.recv(1, output(0));
    return builder.finish().dependencies;
  };
  REQUIRE(build(kProblem) == Edges{{}, {}});
  REQUIRE(build(kInPlace) == Edges{{}, {0}});
}

TEST_CASE("builder: messages are numbered per peer, channel and direction") {
  Builder builder(kProblem);
  builder.send(1, input(0));
  builder.send(2, input(0));
  builder.send(1, input(0));
  builder.send(1, input(0), 1, 1);
  builder.recv(1, output(0));
  const Schedule schedule = builder.finish();
  const uint32_t expected[] = {0, 0, 1, 0, 0};
  for (size_t i = 0; i < 5; ++i) REQUIRE(schedule.steps[i].message == expected[i]);
}

TEST_CASE("fuse: a chain becomes one pass, sends of one content one payload") {
  Builder builder(kProblem);
  for (int peer : {1, 2, 3}) builder.send(peer, input(0));
  builder.copy(input(0), output(0));
  for (int peer : {1, 2, 3}) builder.recv_reduce(peer, output(0));
  builder.send(1, output(0));
  REQUIRE(works_of(builder) ==
          "   0 send input[0..1) to 1#0, 2#0, 3#0\n"
          "   1 combine output[0..1) = input[0..1) + recv 1#0 + recv 2#0 + recv 3#0  into 2\n"
          "   2 send output[0..1) to 1#1  after 1\n");
}

TEST_CASE("fuse: Reduce and RecvReduce begin with the destination") {
  Builder builder(kProblem);
  builder.shape(1, 1);
  builder.recv(1, output(0));
  builder.send(2, output(0));
  builder.recv_reduce(2, output(0));
  REQUIRE(works_of(builder) ==
          "   0 combine output[0..1) = recv 1#0  into 1\n"
          "   1 send output[0..1) to 2#0  after 0\n"
          "   2 combine output[0..1) = output[0..1) + recv 2#0  after 1\n");
}

TEST_CASE("fuse: a result in scratch goes where its copy goes, unless that reaches into a source") {
  const auto into = [](Ref place, Ref from = input(0)) {
    Builder builder(kProblem);
    builder.shape(4, 3, 4);
    builder.copy(from, scratch(0), 2);
    builder.copy(scratch(0), place, 2);
    return fuse(builder.finish()).works[0].into_copy;
  };
  CHECK(into(output(0)) == 1);
  CHECK(into(output(2)) == 1);
  CHECK(into(output(1)) == kNoWork);  // in place, output chunk 1 is input chunk 1
  CHECK(into(scratch(8), scratch(4)) == 1);
  CHECK(into(scratch(5), scratch(4)) == kNoWork);
}

TEST_CASE("fuse: what came in between stays in between") {
  SECTION("a source that is written after the chain has read it") {
    Builder builder(kProblem);
    builder.shape(1, 1);
    builder.recv(1, scratch(0));
    builder.copy(scratch(0), output(0));
    builder.recv(2, scratch(0));  // waits for the copy
    builder.reduce(scratch(0), output(0));
    const Program program = fuse(builder.finish());
    REQUIRE(program.works.size() == 4);
  }
  SECTION("a message that could wait for a later message on the chain's lane") {
    // Rank 1 may send what it sends to scratch only when the first was consumed, and rank 2 what it got from rank 1 then.
    Builder builder(kProblem);
    builder.shape(1, 1);
    builder.recv(1, output(0));
    builder.recv(1, scratch(0));
    builder.recv_reduce(2, output(0));
    REQUIRE(fuse(builder.finish()).works.size() == 3);
  }
  SECTION("two messages of one lane") {
    Builder builder(kProblem);
    builder.recv(1, output(0));
    builder.recv_reduce(1, output(0));
    REQUIRE(fuse(builder.finish()).works.size() == 2);
  }
  SECTION("another run of the same memory") {
    Builder builder(kProblem);
    builder.shape(2, 0, 2);
    builder.recv(1, output(0), 2);
    builder.recv_reduce(2, output(0), 1);
    REQUIRE(fuse(builder.finish()).works.size() == 2);
  }
  SECTION("a source made after the chain began") {
    Builder builder(kProblem);
    builder.shape(1, 1);
    builder.recv(1, output(0));
    builder.recv(2, scratch(0));
    builder.reduce(scratch(0), output(0));
    REQUIRE(fuse(builder.finish()).works.size() == 3);
  }
  SECTION("a write between two sends") {
    Builder builder(kProblem);
    builder.copy(input(0), output(0));
    builder.send(1, output(0));
    builder.recv(2, output(0));
    builder.send(3, output(0));
    REQUIRE(fuse(builder.finish()).works.size() == 4);
  }
  SECTION("in place, a write to output between two sends of input") {
    Builder builder(kInPlace);
    builder.send(1, input(0));
    builder.copy(input(0), output(0));
    builder.send(2, output(0));
    REQUIRE(fuse(builder.finish()).works.size() == 3);
  }
}

TEST_CASE("fuse: a source made before the chain began is joined") {
  Builder builder(kProblem);
  builder.shape(1, 1);
  builder.recv(2, scratch(0));
  builder.recv(1, output(0));
  builder.reduce(scratch(0), output(0));
  REQUIRE(works_of(builder) ==
          "   0 combine scratch[0..1) = recv 2#0\n"
          "   1 combine output[0..1) = recv 1#0 + scratch[0..1)  after 0\n");
}

TEST_CASE("fuse: lanes count messages both ways") {
  Builder builder(kProblem);
  builder.send(3, input(0));
  builder.send(3, input(0), 1, 2);
  builder.recv(3, output(0));
  builder.recv(1, output(0));
  const Program program = fuse(builder.finish());
  REQUIRE(program.lanes.size() == 3);
  REQUIRE((program.lanes[0].peer == 1 && program.lanes[0].sends == 0 && program.lanes[0].receives == 1));
  REQUIRE((program.lanes[1].peer == 3 && program.lanes[1].channel == 0 && program.lanes[1].sends == 1));
  REQUIRE((program.lanes[2].peer == 3 && program.lanes[2].channel == 2 && program.lanes[2].sends == 1));
}

TEST_CASE("print: a picture of the messages") {
  const Topology topology = Topology::flat(3);
  std::vector<Program> programs;
  for (int rank = 0; rank < 3; ++rank) {
    const Problem problem{Collective::Broadcast, 0, rank, 3, false, true, topology};
    programs.push_back(program_of(*select(problem, 8, "ring").value(), problem));
  }
  REQUIRE(draw(programs) ==
          "step 0\n  rank 0  input[0..1) -> 1\n"
          "step 1\n  rank 1  output[0..1) -> 2\n");
  REQUIRE(draw({}) == "no messages\n");
}

TEST_CASE("select: the oneshot program has one send and one pass") {
  for (int rank = 0; rank < 4; ++rank) {
    const Problem problem{Collective::AllReduce, 0, rank, 4, false, true, kFour};
    const Program program = program_of(*select(problem, 8, "oneshot").value(), problem);
    REQUIRE(program.works.size() == 2);
    REQUIRE(program.works[0].count == 3);
    REQUIRE(program.works[1].count == 4);
    for (int source = 0; source < 4; ++source)  // in the order of ranks: all get the same bits
      REQUIRE(program.sources[static_cast<size_t>(source)].peer == (source == rank ? -1 : source));
  }
}

TEST_CASE("select: small, large, one host, many") {
  const auto cheapest = [](Collective collective, const Topology& topology, size_t bytes) {
    const Problem problem{collective, 0, 0, topology.ranks(), false, true, topology};
    return std::string(select(problem, bytes).value()->name);
  };
  const Topology host = Topology::flat(8), cluster = Topology::synthetic("host:8 core:8").value();
  REQUIRE(cheapest(Collective::AllReduce, host, 8) == "oneshot");
  REQUIRE(cheapest(Collective::AllReduce, host, 64 << 20) == "twoshot");
  REQUIRE(cheapest(Collective::AllReduce, cluster, 64 << 20) == "hierarchical");
  REQUIRE(cheapest(Collective::AllReduce, cluster, 64 << 10) == "hierarchical");
  REQUIRE(cheapest(Collective::AllReduce, cluster, 8) == "doubling");
  REQUIRE(cheapest(Collective::Broadcast, Topology::flat(512), 64) == "tree");
  REQUIRE(cheapest(Collective::AlltoAll, host, 64 << 20) == "pairwise");
}

TEST_CASE("select: prices are the same on every rank, positive and grow with the message") {
  for (const char* text : {"core:7", "host:2 core:3+5", "rack:2 host:2 core:2"}) {
    const Topology topology = Topology::synthetic(text).value();
    for (int c = 0; c < kCollectives; ++c)
      for (const Algorithm& algorithm : all_algorithms()) {
        Problem problem{static_cast<Collective>(c), 0, 0, topology.ranks(), false, true, topology};
        if (!algorithm.applies(problem)) continue;
        const double small = algorithm.price(problem, 8), large = algorithm.price(problem, 1 << 20);
        INFO(algorithm.name << " " << name_of(problem.collective) << " " << text);
        REQUIRE(small > 0);
        REQUIRE(large > small);
        problem.rank = topology.ranks() - 1;
        REQUIRE(algorithm.price(problem, 8) == small);
      }
  }
}

TEST_CASE("select: a name that cannot be had is an error") {
  using Catch::Contains;
  const Result<const Algorithm*> unknown = select(kProblem, 8, "rign");
  REQUIRE(unknown.status().code() == Code::InvalidArgument);
  REQUIRE_THAT(unknown.status().text(), Contains("'rign'") && Contains("ring"));
  REQUIRE_THAT(select(kProblem, 8, "pairwise").status().text(), Contains("does not serve AllReduce on 4 ranks"));
}

}  // namespace tutti
