#!/usr/bin/env python3
# flows: plain TCP streams between the ranks of a cluster, timed: what its links carry, without a library in between.
#
# flows.py PATTERN BYTES ADDRESS,ADDRESS,...   (of rank 0, 1, ...) under tutti-cluster; rank 0 prints the seconds of each of five
# rounds. A round begins and ends with a barrier. Patterns, who sends to whom: pair (0 to 1), ring (to the right), shift (half way
# round), incast (all to 0), all (to all).
import os
import socket
import sys
import threading
import time

PORT, BARRIER_PORT, ROUNDS, PIECE, PATIENCE_S = 9000, 8000, 5, 1 << 18, 60


def targets(pattern, rank, ranks):
    return {'pair': [1] if rank == 0 else [],
            'ring': [(rank + 1) % ranks],
            'shift': [(rank + ranks // 2) % ranks],
            'incast': [0] if rank else [],
            'all': [peer for peer in range(ranks) if peer != rank]}[pattern]


def listen(port):
    door = socket.create_server(('', port), backlog=100)
    door.settimeout(PATIENCE_S)
    return door


def connect(address, port):
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            link = socket.create_connection((address, port), timeout=PATIENCE_S)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        except ConnectionRefusedError:  # not there yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def barrier(links, rank):
    for link in links if rank == 0 else []:
        link.recv(1)
    for link in links:
        link.send(b'.')
    for link in links if rank else []:
        link.recv(1)


def send(link, size):
    piece = bytes(PIECE)
    while size:
        size -= link.send(piece[:size])


def receive(link, size):
    piece = memoryview(bytearray(PIECE))
    while size:
        got = link.recv_into(piece, min(size, PIECE))
        if got == 0:
            os._exit(1)  # from a thread
        size -= got


def main():
    pattern, size, addresses = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(',')
    rank, ranks = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
    door = listen(PORT + rank)
    if rank == 0:
        barrier_door = listen(BARRIER_PORT)
        links = [barrier_door.accept()[0] for _ in range(ranks - 1)]
    else:
        links = [connect(addresses[0], BARRIER_PORT)]
    out = [connect(addresses[peer], PORT + peer) for peer in targets(pattern, rank, ranks)]
    incoming = sum(rank in targets(pattern, peer, ranks) for peer in range(ranks) if peer != rank)
    streams = [(send, link) for link in out] + [(receive, door.accept()[0]) for _ in range(incoming)]
    for _ in range(ROUNDS):
        barrier(links, rank)
        begin = time.perf_counter()
        threads = [threading.Thread(target=work, args=(link, size)) for work, link in streams]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        barrier(links, rank)
        if rank == 0:
            print(f'{time.perf_counter() - begin:.4f}', flush=True)


if __name__ == '__main__':
    main()
