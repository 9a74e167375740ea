namespace Krewe.Silo.Streams;

/// <summary>What became of every token that reached this silo, over all its requests.</summary>
internal sealed class StreamCounters
{
    private long _accepted;
    private long _stale;
    private long _duplicate;
    private long _early;
    private long _late;
    private long _contradicting;

    /// <summary>Taken: the next index of the current epoch.</summary>
    public long Accepted => Interlocked.Read(ref _accepted);

    /// <summary>Dropped: of an older epoch.</summary>
    public long Stale => Interlocked.Read(ref _stale);

    /// <summary>Dropped: the owner has that index.</summary>
    public long Duplicate => Interlocked.Read(ref _duplicate);

    /// <summary>Dropped: beyond the next index. The decode worker's run starts at the gap and heals it.</summary>
    public long Early => Interlocked.Read(ref _early);

    /// <summary>Dropped: the stream has ended or is not this silo's.</summary>
    public long Late => Interlocked.Read(ref _late);

    /// <summary>
    /// Duplicates that differ from the token the owner has. Anything but 0 breaks the exactness promise.
    /// </summary>
    public long Contradicting => Interlocked.Read(ref _contradicting);

    public void AddAccepted(int tokens) => Interlocked.Add(ref _accepted, tokens);

    public void AddStale(int tokens) => Interlocked.Add(ref _stale, tokens);

    public void AddDuplicate(int tokens) => Interlocked.Add(ref _duplicate, tokens);

    public void AddEarly(int tokens) => Interlocked.Add(ref _early, tokens);

    public void AddLate(int tokens) => Interlocked.Add(ref _late, tokens);

    public void AddContradicting(int tokens) => Interlocked.Add(ref _contradicting, tokens);
}
