// ops: see ops.h.
#include "lib/comm/ops.h"

#include "lib/comm/call.h"

namespace tutti {

int Ops::add(const void* scalar, Type type, bool read_now) {
  std::lock_guard lock(mutex_);
  ops_.push_back({true, type, read_now ? scale_from(scalar, type) : Scale{}, read_now ? nullptr : scalar});
  return kFirstUserOp + static_cast<int>(ops_.size()) - 1;
}

Status Ops::check(int op, Type type) const {
  if (op < 0) return fail(Code::InvalidArgument, "op ", op, " is no reduction operator");
  if (op < kFirstUserOp) return {};
  std::lock_guard lock(mutex_);
  const size_t index = static_cast<size_t>(op - kFirstUserOp);
  if (index >= ops_.size() || !ops_[index].alive)
    return fail(Code::InvalidArgument, "op ", op, " is no reduction operator of this communicator (destroyed, or another's?)");
  if (ops_[index].type != type)
    return fail(Code::InvalidArgument, "op ", op, " was made for ", name_of(ops_[index].type), ", the call is on ", name_of(type));
  return {};
}

Status Ops::remove(int op) {
  std::lock_guard lock(mutex_);
  const size_t index = static_cast<size_t>(op - kFirstUserOp);
  if (op < kFirstUserOp || index >= ops_.size() || !ops_[index].alive)
    return fail(Code::InvalidArgument, "op ", op, " was not made by RedOpCreatePreMulSum on this communicator, or is destroyed");
  ops_[index].alive = false;
  return {};
}

Scale Ops::scale_of(int op) const {
  std::lock_guard lock(mutex_);
  const UserOp& one = ops_[static_cast<size_t>(op - kFirstUserOp)];
  return one.scalar ? scale_from(one.scalar, one.type) : one.scale;
}

}  // namespace tutti
