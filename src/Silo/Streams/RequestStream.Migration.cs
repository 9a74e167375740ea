using System.Collections.Immutable;
using Krewe.Abstractions;

namespace Krewe.Silo.Streams;

/// <summary>
/// The owner as arbiter of a migration: one successor at most may take the current epoch's place, once, and only until
/// it is revoked.
/// </summary>
internal sealed partial class RequestStream
{
    private int? _successor;

    /// <summary>
    /// Allows <paramref name="epoch"/> to take over with its commit; the current epoch's tokens still count. Returns
    /// the tokens that the owner has. Throws <see cref="KreweException"/> when the stream has ended or the epoch is not
    /// new.
    /// </summary>
    public ImmutableArray<int> BeginSuccessor(int epoch)
    {
        lock (_gate)
        {
            if (_end is not null)
                throw new KreweException(ErrorCode.ClientClosedRequest, $"The stream of {RequestId} has ended.");
            if (epoch <= _epoch || epoch <= _successor)
            {
                throw new KreweException(
                    ErrorCode.Internal, $"Epoch {epoch} of {RequestId} cannot succeed epoch {_successor ?? _epoch}.");
            }

            _successor = epoch;
            return [.. _tokens];
        }
    }

    /// <summary>
    /// The successor has committed: from now on only its tokens count. False when it was revoked, or never allowed:
    /// then its worker must let go.
    /// </summary>
    public bool TryAdopt(int epoch)
    {
        lock (_gate)
        {
            if (_successor != epoch) return epoch == _epoch;
            (_epoch, _successor) = (epoch, null);
            return true;
        }
    }

    /// <summary>Nothing of this successor will ever be taken; false when it was adopted already.</summary>
    public bool TryRevoke(int epoch)
    {
        lock (_gate)
        {
            if (_epoch >= epoch) return false;
            if (_successor == epoch) _successor = null;
            return true;
        }
    }
}
