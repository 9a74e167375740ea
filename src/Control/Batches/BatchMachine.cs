using Krewe.Abstractions;

namespace Krewe.Control.Batches;

/// <summary>
/// A batch's life: validating → in progress → finalizing → completed, with a way out of each to failed, expired or
/// cancelled. Invariant: a batch that is over never changes again.
/// </summary>
public static class BatchMachine
{
    public static bool IsOver(BatchStatus status) => status switch
    {
        BatchStatus.Failed or BatchStatus.Completed or BatchStatus.Expired or BatchStatus.Cancelled => true,
        BatchStatus.Validating or BatchStatus.InProgress or BatchStatus.Finalizing or BatchStatus.Cancelling => false,
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "A status without a meaning."),
    };

    /// <summary>Whether a batch in <paramref name="from"/> may come into <paramref name="to"/>.</summary>
    public static bool Allows(BatchStatus from, BatchStatus to) => (from, to) switch
    {
        (BatchStatus.Validating, BatchStatus.InProgress) => true,
        (BatchStatus.Validating or BatchStatus.Cancelling, BatchStatus.Failed) => true,
        (BatchStatus.Validating or BatchStatus.InProgress, BatchStatus.Cancelling or BatchStatus.Expired) => true,
        (BatchStatus.InProgress, BatchStatus.Finalizing) => true,
        (BatchStatus.Finalizing, BatchStatus.Completed) => true,
        (BatchStatus.Cancelling, BatchStatus.Cancelled) => true,
        _ => false,
    };

    /// <summary>The record after the change; a step that its status does not allow, or that is of no use any more, is
    /// left out, what was counted is taken all the same.</summary>
    public static BatchRecord Apply(BatchRecord record, BatchChange change, DateTimeOffset now)
    {
        if (IsOver(record.Status)) return record;
        var next = record with
        {
            Errors = change.Errors ?? record.Errors,
            OutputFileId = change.OutputFileId ?? record.OutputFileId,
            ErrorFileId = change.ErrorFileId ?? record.ErrorFileId,
            Total = change.Total ?? record.Total,
            Completed = change.Completed ?? record.Completed,
            Failed = change.Failed ?? record.Failed,
        };
        return change.Status is { } status && Allows(record.Status, status)
            ? next with { Status = status, Reached = next.Reached.SetItem(status, now) }
            : next;
    }
}
