using System.Runtime.InteropServices;

namespace Krewe.Control.Kv;

/// <summary>
/// The hashes of one sequence's full blocks, first to last; grows with the sequence, each block hashed once.
/// </summary>
public sealed class PrefixChain(PrefixHash root, int blockTokens)
{
    private readonly List<PrefixHash> _hashes = [];

    /// <summary>One hash for each full block of the tokens covered so far.</summary>
    public ReadOnlySpan<PrefixHash> Hashes => CollectionsMarshal.AsSpan(_hashes);

    /// <summary>Makes room for the hashes of so many blocks, so that growing up to them allocates nothing.</summary>
    public void Reserve(int blocks) => _hashes.EnsureCapacity(blocks);

    /// <summary>
    /// Hashes the full blocks of <paramref name="tokens"/>: the whole sequence, of which earlier calls saw a prefix.
    /// </summary>
    public void Cover(ReadOnlySpan<int> tokens)
    {
        for (var block = _hashes.Count; (block + 1) * blockTokens <= tokens.Length; block++)
        {
            var parent = block == 0 ? root : _hashes[block - 1];
            _hashes.Add(parent.Next(tokens.Slice(block * blockTokens, blockTokens)));
        }
    }
}
