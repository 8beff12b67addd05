// endpoint: see endpoint.h.
#include "transports/ucx/endpoint.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "lib/base/clock.h"

namespace tutti::ucx {

void Link::breaks(ucs_status_t why) noexcept {
  if (broken != UCS_OK) return;
  broken = why;
  broken_at_ns = now_ns();
}

void Common::give_back(Sending* sending) noexcept {
  if (sending->outgoing) {
    --sending->outgoing->outstanding;
    --outstanding;
    sending->outgoing = nullptr;
  }
  if (sending->id != kCredit) --pending;
  if (sending->block) blocks.drop(sending->block);
  sending->block = nullptr;
  idle.push_back(sending);
}

void UcxEndpoint::open(Common& common, int peer, uint32_t peer_token, bool in_process, std::vector<std::string> addresses,
                       const Deal& deal) {
  common_ = &common;
  peer_ = peer;
  peer_token_ = peer_token;
  in_process_ = in_process;
  addresses_ = std::move(addresses);
  deal_ = deal;
  links_.resize(addresses_.size());
  for (uint32_t rail = 0; rail < links_.size(); ++rail) {
    links_[rail].owner = this;
    links_[rail].rail = rail;
  }
}

bool UcxEndpoint::connect(Link& link) {
  if (link.ep) [[likely]]
    return link.broken == UCS_OK;
  if (link.broken != UCS_OK) return false;
  Result<ucp_ep_h> made = common_->rails[link.rail]->connect(addresses_[link.rail], &UcxEndpoint::on_broken, &link);
  if (!made.ok()) link.breaks(UCS_ERR_UNREACHABLE);
  if (!made.ok()) return false;
  link.ep = made.value();
  // With these settings UCX may not send even the shortest message at once.
  static const bool hindered = std::getenv("UCX_RNDV_THRESH") || std::getenv("UCX_ZCOPY_THRESH");
  link.at_once = !hindered && common_->rails[link.rail]->plain();
  link.patient_until_ns = now_ns() + kPatienceNs;
  common_->waiting.reserve(++common_->connections);
  return true;
}

// What to answer to who needs a broken connection.
Progress UcxEndpoint::verdict(const Link& link) {
  if (link.broken == UCS_ERR_NO_MEMORY) {
    failure_ = fail(Code::SystemError, "out of memory");
    return Progress::Failed;
  }
  if (now_ns() - link.broken_at_ns < kVerdictNs) return Progress::Again;
  failure_ = fail(Code::RemoteError, "the connection over ", common_->rails[link.rail]->nic().name, " broke: ",
                  ucs_status_string(link.broken));
  return Progress::Failed;
}

// ---- sending

Progress UcxEndpoint::post(Outgoing& outgoing, const Wire& wire) {
  Outbound& lane = outbound_[wire.channel];
  if (wire.number - lane.told >= (outgoing.bytes > kLongBytes ? kLongWindow : kWindow)) {
    const Link* const cut = broken();
    return cut ? verdict(*cut) : Progress::Again;
  }
  Link& link = link_of(wire.number);
  if (!connect(link)) return verdict(link);

  const std::byte* data = outgoing.contiguous;
  if (!data) {
    if (outgoing.handle == 0) {
      Block* const block = common_->blocks.take();  // its first user is the caller, until the last post
      outgoing.pack(outgoing, {block->bytes.get()});
      outgoing.handle = reinterpret_cast<uintptr_t>(block);
    }
    data = reinterpret_cast<Block*>(outgoing.handle)->bytes.get();
  }
  if (!std::exchange(link.unmarked, true)) common_->used.push_back(&link);
  Header header{wire.signature, wire.number, peer_token_, static_cast<uint32_t>(outgoing.bytes), 0,
                static_cast<uint16_t>(common_->rank), wire.channel, 0, call_of(wire.call)};
  do {
    if (!send_piece(link, header, outgoing, data + header.offset)) return verdict(link);
    header.offset += static_cast<uint32_t>(kPieceBytes);
  } while (header.offset < header.bytes);

  const uint32_t bytes = static_cast<uint32_t>(outgoing.bytes + kAroundBytes);
  lane.sent[wire.number % kWindow] = {bytes, call_of(wire.call), wire.signature};
  link.unacked += bytes;
  if (static_cast<int32_t>(wire.number + 1 - lane.next) > 0) lane.next = wire.number + 1;
  if (--outgoing.posts_left == 0 && outgoing.handle != 0) {
    common_->blocks.drop(reinterpret_cast<Block*>(outgoing.handle));
    outgoing.handle = 0;
  }
  return Progress::Done;
}

bool UcxEndpoint::send_piece(Link& link, const Header& header, Outgoing& outgoing, const std::byte* data) {
  Sending* const sending = common_->take();
  sending->header = header;
  if (outgoing.handle != 0) {
    sending->block = reinterpret_cast<Block*>(outgoing.handle);
    ++sending->block->users;
  } else {
    sending->outgoing = &outgoing;
    ++outgoing.outstanding;
    ++common_->outstanding;
  }
  return send(link, kMessage, sending, data, std::min<size_t>(header.bytes - header.offset, kPieceBytes));
}

// False: the connection is broken.
bool UcxEndpoint::send(Link& link, MessageId id, Sending* sending, const std::byte* data, size_t bytes) {
  sending->data = data;
  sending->bytes = bytes;
  sending->next = nullptr;
  sending->link = &link;
  sending->common = common_;
  sending->id = id;
  if (id != kCredit) ++common_->pending;
  const Progress progress = link.first_waiting ? Progress::Again : hand_over(sending);
  if (progress != Progress::Again) return progress == Progress::Done;
  if (!link.first_waiting) common_->waiting.push_back(&link);
  (link.first_waiting ? link.last_waiting->next : link.first_waiting) = sending;
  link.last_waiting = sending;
  return true;
}

// Done: UCX has taken the message. Again: UCX does not take it now. Failed: the connection is broken.
//
// UCX is told to send a message at once or to refuse it (FORCE_IMM_CMPL). Refused messages wait in the link. Otherwise UCX would keep a
// message that it cannot send yet, for example while the connection is being made, and would negotiate endpoint ids (its wireup), which
// nothing here needs. UCX 1.13 aborts the process if the connection breaks or is closed during the wireup (wireup_ep.c:241,
// ucp_request.c:684). That ended 18 of 500 worlds in which a rank is killed at first contact; now it ends none
// (CONTACT_WORLDS=500 CONTACT_STORY=0 tests/fault/contact_test).
Progress UcxEndpoint::hand_over(Sending* sending) {
  Link& link = *sending->link;
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER;  // whatever UCX_RNDV_THRESH says
  param.cb.send = &UcxEndpoint::on_sent;
  param.user_data = sending;
  if (link.at_once) param.op_attr_mask |= UCP_OP_ATTR_FLAG_FORCE_IMM_CMPL;
  // The header is read until the send is over.
  const auto give = [&] {
    return ucp_am_send_nbx(link.ep, sending->id, &sending->header, sizeof sending->header, sending->data, sending->bytes, &param);
  };
  ucs_status_ptr_t request = give();
  if (link.at_once && UCS_PTR_STATUS(request) == UCS_ERR_NO_RESOURCE) {
    if (takes_at_once(link, sending->bytes)) return Progress::Again;
    link.at_once = false;
    param.op_attr_mask &= ~static_cast<uint32_t>(UCP_OP_ATTR_FLAG_FORCE_IMM_CMPL);
    request = give();
  }
  if (UCS_PTR_IS_PTR(request)) return Progress::Done;  // on_sent() will be called
  if (!request) {
    link.taken_bytes = std::max(link.taken_bytes, sending->bytes);
    link.patient_until_ns = INT64_MAX;
  }
  if (request) link.breaks(UCS_PTR_STATUS(request));
  sending->common->give_back(sending);
  return request ? Progress::Failed : Progress::Done;
}

// UCX has just refused a message of so many bytes. Whether it will send one at once later. It will not if it takes a marker now: then the
// message is too long. If UCX has never taken anything, it gets kPatienceNs to make the connection.
bool UcxEndpoint::takes_at_once(Link& link, size_t bytes) {
  if (link.taken_bytes > 0 && bytes <= link.taken_bytes) return true;
  return now_ns() < link.patient_until_ns && !sends_marker(link);
}

// Sends a marker if UCX takes one now; returns whether it did.
bool UcxEndpoint::sends_marker(const Link& link) {
  const Header nothing{};
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FLAG_FORCE_IMM_CMPL;
  param.flags = UCP_AM_SEND_FLAG_EAGER;
  return ucp_am_send_nbx(link.ep, kMarker, &nothing, sizeof nothing, nullptr, 0, &param) == nullptr;
}

bool UcxEndpoint::send_waiting(Link& link) {
  while (Sending* const sending = link.first_waiting) {
    Sending* const next = sending->next;
    const bool message = sending->id == kMessage;
    if (link.broken == UCS_OK) {
      const Progress progress = hand_over(sending);
      if (progress == Progress::Again) return false;
      link.lost |= message && progress == Progress::Failed;
    } else {
      link.lost |= message;
      sending->common->give_back(sending);
    }
    link.first_waiting = next;
  }
  return true;
}

void Common::send_waiting() {
  std::erase_if(waiting, [](Link* link) { return UcxEndpoint::send_waiting(*link); });
}

void UcxEndpoint::on_sent(void* request, ucs_status_t status, void* user_data) noexcept {
  Sending* const sending = static_cast<Sending*>(user_data);
  if (status != UCS_OK) {
    sending->link->breaks(status);
    sending->link->lost |= sending->id == kMessage;
  }
  sending->common->give_back(sending);
  ucp_request_free(request);
}

void UcxEndpoint::on_broken(void* link, ucp_ep_h, ucs_status_t status) noexcept { static_cast<Link*>(link)->breaks(status); }

void UcxEndpoint::credit(const Header& header) noexcept {
  heard_ = true;
  Outbound& lane = outbound_[header.channel];
  if (lane.next - header.number > kWindow) return;  // there is no such message
  // Credits may overtake one another.
  for (; static_cast<int32_t>(header.number - lane.told) > 0; ++lane.told)
    link_of(lane.told).unacked -= lane.sent[lane.told % kWindow].bytes;
  lane.final |= header.final != 0;
}

void UcxEndpoint::mark(Link& link) {
  link.unmarked = false;
  if (link.unacked < kLeastSocketBytes || !connect(link)) return;  // who waits for what was sent hears of it
  Sending* const sending = common_->take();
  sending->header = {};
  (void)send(link, kMarker, sending, nullptr, 0);
}

bool UcxEndpoint::credits_due() const {
  for (const Outbound& lane : outbound_)
    if (lane.next / kCreditEvery != lane.told / kCreditEvery && !lane.final) return true;
  return false;
}

// Who has never been heard of sends nothing, and so no credits either.
bool UcxEndpoint::last_credits_due() const {
  return heard_ && std::any_of(outbound_.begin(), outbound_.end(),
                               [](const Outbound& lane) { return lane.next != lane.told && !lane.final; });
}

uint64_t UcxEndpoint::unacked_bytes() const {
  uint64_t bytes = 0;
  for (const Link& link : links_) bytes += link.unacked;
  return bytes;
}

const Link* UcxEndpoint::broken() const {
  const auto link = std::find_if(links_.begin(), links_.end(), [](const Link& one) { return one.broken != UCS_OK; });
  return link == links_.end() ? nullptr : &*link;
}


// ---- receiving

// Where a message of which the first piece has come is to gather.
void UcxEndpoint::gather(Slot& slot, Link& link, const Header& header) {
  if (header.bytes <= sizeof slot.little) {
    slot.to = slot.little;
  } else if (slot.reader && slot.reader->landing && header.bytes <= slot.reader->capacity) {
    slot.to = slot.reader->landing;
  } else {
    slot.block = common_->blocks.take();  // may throw: then the slot stays empty
    slot.to = slot.block->bytes.get();
  }
  slot.state = Slot::State::Gathers;
  slot.link = &link;
  slot.signature = header.signature;
  slot.call = header.call;
  slot.bytes = header.bytes;
  slot.gathered = 0;
  slot.data = slot.to;
}

// UCX calls this. UCX is C: no exception may leave it.
ucs_status_t UcxEndpoint::arrive(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) noexcept {
  try {
    return take_in(rail, header, data, bytes, attributes);
  } catch (const std::bad_alloc&) {
    links_[rail].breaks(UCS_ERR_NO_MEMORY);
    return UCS_OK;
  }
}

ucs_status_t UcxEndpoint::take_in(uint32_t rail, const Header& header, void* data, size_t bytes, uint64_t attributes) {
  heard_ = true;
  Inbound& lane = inbound(header.channel);
  Slot& slot = lane.slots[header.number % kWindow];
  const bool fits = header.bytes <= common_->blocks.block_bytes() && header.offset <= header.bytes &&
                    bytes <= header.bytes - header.offset;
  const bool follows = slot.state == Slot::State::Gathers && header.bytes == slot.bytes;
  if (header.number - lane.base >= kWindow || !fits || !(follows || slot.state == Slot::State::Empty) ||
      attributes & UCP_AM_RECV_ATTR_FLAG_RNDV) {
    links_[rail].breaks(UCS_ERR_INVALID_PARAM);  // no rank of ours sends this
    return UCS_OK;
  }
  const bool whole = bytes == header.bytes;
  if (whole && attributes & UCP_AM_RECV_ATTR_FLAG_DATA && bytes > sizeof slot.little) {  // shown where UCX has put it
    slot.state = Slot::State::Here;
    slot.link = &links_[rail];
    slot.signature = header.signature;
    slot.call = header.call;
    slot.bytes = bytes;
    slot.descriptor = data;
    slot.data = static_cast<const std::byte*>(data);
    return UCS_INPROGRESS;
  }
  if (!follows) gather(slot, links_[rail], header);
  if (bytes > 0) std::memcpy(slot.to + header.offset, data, bytes);
  slot.gathered += bytes;
  if (slot.gathered >= slot.bytes) slot.state = Slot::State::Here;
  return UCS_OK;
}

Progress UcxEndpoint::receive(Incoming& incoming) {
  const uint32_t number = incoming.wire.number;
  Link& link = link_of(number);
  Inbound& lane = inbound(incoming.wire.channel);
  if (number - lane.base >= kWindow) return link.broken == UCS_OK ? Progress::Again : verdict(link);
  Slot& slot = lane.slots[number % kWindow];
  if (slot.state != Slot::State::Here) {
    slot.reader = &incoming;
    return link.broken == UCS_OK ? Progress::Again : verdict(link);
  }
  incoming.view = {slot.data, stamp_of(slot.call, slot.bytes), slot.signature};
  return Progress::Done;
}

void UcxEndpoint::empty(Slot& slot) {
  if (slot.descriptor) ucp_am_data_release(common_->rails[slot.link->rail]->worker(), slot.descriptor);
  if (slot.block) common_->blocks.drop(slot.block);
  slot.descriptor = nullptr;
  slot.block = nullptr;
  slot.reader = nullptr;
  slot.state = Slot::State::Empty;
}

void UcxEndpoint::release(Incoming& incoming) {
  const uint8_t channel = incoming.wire.channel;
  Inbound& lane = inbound(channel);
  empty(lane.slots[incoming.wire.number % kWindow]);
  lane.released |= uint64_t{1} << (incoming.wire.number - lane.base);
  const uint32_t before = lane.base;
  for (; lane.released & 1; lane.released >>= 1) ++lane.base;
  if (lane.base / kCreditEvery != before / kCreditEvery) tell(channel, false);
}

// A peer that has left, and so is not there for its credit, has no use for it. (One that may still come waits for it in leave(): so
// no connection is being made to a peer that is closing its own, which UCX 1.13 takes badly; see Ucx::linger().)
void UcxEndpoint::tell(uint8_t channel, bool final) {
  Link& link = link_of(0);
  if (!connect(link)) return;
  Sending* const sending = common_->take();
  sending->header = {0, inbound(channel).base, peer_token_, 0, 0, static_cast<uint16_t>(common_->rank), channel, final, 0};
  (void)send(link, kCredit, sending, nullptr, 0);
}

void UcxEndpoint::settle() {
  for (uint8_t channel = 0; channel < kLanes; ++channel)
    if (link_of(0).ep && inbound_[channel]) tell(channel, true);
}

void UcxEndpoint::add_untaken(std::vector<Untaken>& untaken) const {
  for (uint8_t channel = 0; channel < kLanes; ++channel) {
    if (const Inbound* const lane = inbound_[channel].get()) {
      const auto first = std::find_if(std::begin(lane->slots), std::end(lane->slots), [](const Slot& slot) { return slot.state != Slot::State::Empty; });
      if (first != std::end(lane->slots)) untaken.push_back({peer_, common_->rank, {0, channel, stamp_of(first->call), first->signature}});
    }
    const Outbound& lane = outbound_[channel];
    const Outbound::Sent& next = lane.sent[lane.told % kWindow];
    if (lane.final && lane.told != lane.next) untaken.push_back({common_->rank, peer_, {lane.told, channel, stamp_of(next.call), next.signature}});
  }
}

void UcxEndpoint::drop_messages() {
  for (const auto& lane : inbound_)
    if (lane)
      for (Slot& slot : lane->slots) empty(slot);
}

}  // namespace tutti::ucx
