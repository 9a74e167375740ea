namespace Krewe.Grains;

/// <summary>
/// Keeps the newest <see cref="GrainOptions.RecordsMax"/> records that this silo wrote. It knows nothing of records
/// that an earlier process left in a durable storage: those are the operator's to delete.
/// </summary>
internal sealed class RecordRetention(GrainOptions options) : IRecordRetention
{
    private readonly Lock _lock = new();
    private readonly Queue<string> _kept = new();

    public int Count
    {
        get
        {
            lock (_lock) return _kept.Count;
        }
    }

    public string? Keep(string requestId)
    {
        lock (_lock)
        {
            _kept.Enqueue(requestId);
            return _kept.Count > options.RecordsMax ? _kept.Dequeue() : null;
        }
    }
}
