namespace Krewe.KvStore.Disk;

/// <summary>Counts of one store since it was opened.</summary>
internal sealed class StoreCounters
{
    public long Hits;
    public long Misses;
    public long Stored;
    public long PutsSkipped;
    public long PutsWithoutRoom;
    public long Evictions;
    public long Deleted;
    public long TornHeaders;
    public long Superseded;
    public long SegmentsDiscarded;
    public long CorruptObjects;
    public long ReadErrors;
    public long WriteErrors;
    public long DiskFullErrors;
    public long ObjectsScrubbed;
    public long BytesRead;
    public long BytesWritten;

    public static void Add(ref long counter, long value = 1) => Interlocked.Add(ref counter, value);
}
