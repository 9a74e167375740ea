using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using Krewe.Control.Links;

namespace Krewe.Workers;

/// <summary>Where the further connections of a link find it: by a number that only its peer was told.</summary>
internal sealed class LaneMeetings
{
    private readonly ConcurrentDictionary<ulong, Meeting> _open = new();

    /// <summary>To be disposed when the link's connections are there, or will not be.</summary>
    /// <param name="connectionsMax">That the link may have, its first included.</param>
    public Meeting Open(int connectionsMax)
    {
        var link = BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong))) | 1;
        var meeting = new Meeting(this, link, connectionsMax - 1);
        _open[link] = meeting;
        return meeting;
    }

    /// <summary>Gives a connection to its link.</summary>
    /// <exception cref="FrameException">No link waits for it; the connection is still the caller's.</exception>
    public void Join(ulong link, int lane, FrameSocket connection)
    {
        if (!_open.TryGetValue(link, out var meeting) || !meeting.TryTake(lane, connection))
            throw new FrameException($"Connection {lane} belongs to no link that waits for it.");
    }

    /// <summary>One link that may wait for further connections.</summary>
    public sealed class Meeting(LaneMeetings meetings, ulong link, int lanesMax) : IDisposable
    {
        private readonly Lock _gate = new();
        private readonly TaskCompletionSource _complete = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly FrameSocket?[] _lanes = new FrameSocket?[lanesMax];
        private int? _wanted;
        private bool _closed;

        public ulong Link => link;

        /// <summary>Waits for connections 1 to <paramref name="count"/>, which the caller then owns.</summary>
        public async Task<FrameSocket[]> GatherAsync(int count, CancellationToken cancellationToken)
        {
            lock (_gate)
            {
                _wanted = Math.Max(0, count);
                CompleteWhenAllAreHere();
            }

            await _complete.Task.WaitAsync(cancellationToken);
            var taken = new FrameSocket[_wanted.Value];
            lock (_gate)
            {
                for (var lane = 0; lane < taken.Length; lane++) (taken[lane], _lanes[lane]) = (_lanes[lane]!, null);
            }

            return taken;
        }

        /// <summary>A connection may come before its link knows how many it will have.</summary>
        public bool TryTake(int lane, FrameSocket connection)
        {
            lock (_gate)
            {
                if (_closed || lane < 1 || lane > lanesMax || _lanes[lane - 1] is not null) return false;
                _lanes[lane - 1] = connection;
                CompleteWhenAllAreHere();
                return true;
            }
        }

        /// <summary>Closes what nobody took.</summary>
        public void Dispose()
        {
            meetings._open.TryRemove(link, out _);
            lock (_gate)
            {
                _closed = true;
                foreach (var lane in _lanes) lane?.Dispose();
            }
        }

        private void CompleteWhenAllAreHere()
        {
            if (_wanted is { } wanted && _lanes.Take(wanted).All(lane => lane is not null)) _complete.TrySetResult();
        }
    }
}
