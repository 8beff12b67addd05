// plan: see plan.h.
#include "lib/exec/plan.h"

#include <algorithm>
#include <map>

namespace tutti {

std::unique_ptr<Plan> bind_plan(const Program& program, uint32_t blocks, std::span<const Route> routes) {
  auto plan = std::make_unique<Plan>();
  plan->blocks = blocks;
  plan->chunks = program.chunks;
  plan->scratch_copies = program.scratch_copies;
  plan->largest_message = program.largest_message;
  plan->dependents = program.dependents;
  plan->lanes = program.lanes;

  std::map<std::pair<int32_t, uint8_t>, uint32_t> lane_index;
  for (uint32_t i = 0; i < program.lanes.size(); ++i) lane_index[{program.lanes[i].peer, program.lanes[i].channel}] = i;

  for (const Work& work : program.works) {
    PlanWork bound{work.kind, work.ref, work.chunks, 0, 0, work.first_dependent, work.dependents, work.into_send, work.into_copy};
    if (work.kind == Work::Kind::Send) {
      bound.first = static_cast<uint32_t>(plan->groups.size());
      const uint32_t first = static_cast<uint32_t>(plan->targets.size());
      for (uint32_t i = work.first; i < work.first + work.count; ++i) {
        const Target& target = program.targets[i];
        Endpoint* const endpoint = routes[target.peer].endpoint;
        plan->targets.push_back({endpoint, endpoint->mapped(), target.peer, lane_index.at({target.peer, target.channel}),
                                 target.message, target.channel});
      }
      // Targets of one transport side by side, otherwise in the author's order.
      for (auto at = plan->targets.begin() + first; at != plan->targets.end();) {
        const Transport* const transport = routes[at->peer].transport;
        const auto takes_it = [&](const PlanTarget& target) { return routes[target.peer].transport == transport; };
        at = std::stable_partition(at, plan->targets.end(), takes_it);
      }
      for (uint32_t i = first; i < plan->targets.size(); ++i) {
        const bool opens = i == first || routes[plan->targets[i].peer].transport != routes[plan->targets[i - 1].peer].transport;
        if (opens) plan->groups.push_back({i, 0, routes[plan->targets[i].peer].transport->copies()});
        ++plan->groups.back().count;
      }
      bound.count = static_cast<uint32_t>(plan->groups.size()) - bound.first;
    } else {
      bound.first = static_cast<uint32_t>(plan->sources.size());
      bound.count = work.count;
      plan->most_sources = std::max(plan->most_sources, work.count);
      for (uint32_t i = work.first; i < work.first + work.count; ++i) {
        const Source& source = program.sources[i];
        PlanSource entry{nullptr, source.peer, 0, source.message, source.channel, false, 0, source.ref};
        if (source.peer >= 0) {
          entry.endpoint = routes[source.peer].endpoint;
          entry.lane = lane_index.at({source.peer, source.channel});
          entry.lands = routes[source.peer].transport->lands();
          entry.incoming = plan->incomings++;
          plan->lands |= entry.lands;
        }
        plan->sources.push_back(entry);
      }
    }
    if (work.dependencies == 0) plan->roots.push_back(static_cast<uint32_t>(plan->works.size()));
    plan->dependencies.push_back(work.dependencies);
    plan->works.push_back(bound);
  }
  return plan;
}

}  // namespace tutti
