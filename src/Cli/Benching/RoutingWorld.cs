using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Prefixes;
using Krewe.Control.Routing;

namespace Krewe.Cli;

/// <summary>
/// A made-up cell: half of the workers prefill, half decode. All know one system prompt; every conversation lies on one
/// prefill worker, one in eight on two. Everything is drawn from a seed.
/// </summary>
internal sealed class RoutingWorld
{
    private const int SystemBlocks = 32;
    private const int ConversationBlocks = 250;

    private readonly Random _random = new(1);
    private readonly int[] _holders;
    private readonly long _conversations;

    public RoutingWorld(int workers, long blocks)
    {
        var prefills = Math.Max(1, workers / 2);
        _holders = new int[prefills];
        _conversations = Math.Max(1, blocks / ConversationBlocks);
        for (var i = 0; i < workers; i++) Table.Add(slot => Create(slot, i, i < prefills));
        foreach (var worker in Table.Workers)
        {
            if (worker.TakesPrefill) _holders[worker.Slot] = Index.Open(worker.Slot);
        }
    }

    public RouteTable Table { get; } = new();

    public PrefixIndex Index { get; } = new();

    public RouteRequest Request { get; } = new() { ExpectedOutputTokens = 300 };

    /// <summary>Adds every block; returns how many (worker, block) pairs that were.</summary>
    public long Fill()
    {
        foreach (var holder in _holders)
        {
            for (var block = 0; block < SystemBlocks; block++)
                Index.Add(holder, Hash(0, block), KvTier.Device);
        }

        for (var conversation = 1L; conversation <= _conversations; conversation++)
        {
            AddConversation(conversation, HolderOf(conversation));
            if (conversation % 8 == 0) AddConversation(conversation, HolderOf(conversation + 1));
        }

        return Index.Residencies;
    }

    /// <summary>Takes one block of a conversation away and puts it back.</summary>
    public (PrefixHash Hash, int Holder) SomeBlock()
    {
        var conversation = 1 + _random.NextInt64(_conversations);
        var block = SystemBlocks + _random.Next(ConversationBlocks);
        return (Hash(conversation, block), HolderOf(conversation));
    }

    /// <summary>The next turn of some conversation: what is known, and 1 to 100 new blocks. Loads drift.</summary>
    public int NextRequest(PrefixHash[] hashes)
    {
        var conversation = 1 + _random.NextInt64(_conversations);
        var known = SystemBlocks + _random.Next(1, ConversationBlocks);
        var blocks = Math.Min(hashes.Length, known + _random.Next(1, 100));
        for (var block = 0; block < blocks; block++)
        {
            hashes[block] = block < SystemBlocks ? Hash(0, block)
                : block < known ? Hash(conversation, block)
                : Hash(-conversation - _random.Next(1000), block);
        }

        Request.Hashes = hashes.AsMemory(0, blocks);
        Request.PrefillTokens = blocks * Request.HashBlockTokens;
        Request.ContextTokens = Request.PrefillTokens + 1000;
        Request.NowUs += _random.Next(1, 2000);
        foreach (var worker in Table.Workers)
        {
            worker.WaitingPrefillMs = _random.Next(5000);
            worker.RunningSequences = _random.Next(100);
            worker.ContextTokens = worker.RunningSequences * 4000L;
            worker.ClearDispatched();
        }

        return blocks;
    }

    private void AddConversation(long conversation, int holder)
    {
        for (var block = SystemBlocks; block < SystemBlocks + ConversationBlocks; block++)
            Index.Add(holder, Hash(conversation, block), KvTier.Device);
    }

    private int HolderOf(long conversation) => _holders[conversation % _holders.Length];

    // As evenly spread as SHA-256's first bits, and a thousand times cheaper: the bench times the index, not the hash.
    private static PrefixHash Hash(long chain, int block)
    {
        var z = ((ulong)chain << 12) ^ (ulong)block;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return new PrefixHash(z ^ (z >> 31));
    }

    private static RouteWorker Create(int slot, int number, bool prefills) => new()
    {
        Slot = slot,
        Worker = new WorkerIncarnation(string.Create(CultureInfo.InvariantCulture, $"w{number:0000}"), 1),
        Role = prefills ? WorkerRole.Prefill : WorkerRole.Decode,
        State = WorkerState.Ready,
        TotalBlocks = 60_000,
        AvailableBlocks = 30_000,
        BlockTokens = 16,
        MaxContextTokens = 131_072,
    };
}
