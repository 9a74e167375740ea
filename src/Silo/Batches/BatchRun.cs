using System.Text.Json;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Control.Batches;
using Krewe.Silo.Gateway;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Batches;

/// <summary>
/// One batch on this silo, from its input to its last line. Invariant: every request of the input has exactly one line,
/// in the output or in the error file, when the batch is over; cancelled ones have only what was done by then.
/// </summary>
internal sealed partial class BatchRun(
    BatchRecord record, IBatchGrain grain, StoredFiles files, AnswerKinds kinds, AnswerRuns runs, TenantPolicy tenant,
    string owner, bool inFileOrder, Entropy entropy, TimeProvider time)
{
    /// <summary>How long a claim holds without this silo's sign; renewed with every report.</summary>
    public static readonly TimeSpan ClaimLife = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(1);

    private static readonly Dictionary<string, AnswerKind> Kinds = new(StringComparer.Ordinal)
    {
        ["/v1/chat/completions"] = AnswerKind.Chat,
        ["/v1/completions"] = AnswerKind.Text,
        ["/v1/responses"] = AnswerKind.Response,
        ["/v1/messages"] = AnswerKind.Message,
    };

    private BatchOutput _output = null!;
    private BatchOutput _errors = null!;
    private int _completed;
    private int _failed;

    /// <summary>Paths that a batch may be of.</summary>
    public static IEnumerable<string> Endpoints => Kinds.Keys;

    public static AnswerKind? KindOf(string endpoint) => Kinds.TryGetValue(endpoint, out var kind) ? kind : null;

    /// <summary>
    /// Runs the batch until it is over, or until <paramref name="stop"/>; what was done by then is written.
    /// </summary>
    public async Task RunAsync(CancellationToken stop)
    {
        if (await ReadInputAsync() is not { } lines) return;
        if (await OpenOutputAsync(lines) is not { } rest) return;
        using var cut = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var over = new CancellationTokenSource();
        var reporting = ReportAsync(cut, over.Token);
        try
        {
            await RunLinesAsync(rest, cut.Token);
        }
        catch (OperationCanceledException) when (cut.IsCancellationRequested)
        {
            // Cancelled, expired, another silo's, or the silo stops.
        }
        finally
        {
            await over.CancelAsync();
        }

        var status = await reporting;
        if (status is null) return;
        if (!await TryWriteAsync() || stop.IsCancellationRequested) return;
        await EndAsync(status.Value, rest);
    }

    /// <summary>The lines; null when the batch failed because of them.</summary>
    private async Task<IReadOnlyList<BatchLine>?> ReadInputAsync()
    {
        List<string> text = [];
        if (await files.Grain(record.InputFileId).GetAsync() is not { } input)
        {
            await FailAsync(new BatchError(
                "input_file_not_found", $"The file '{record.InputFileId}' was deleted.", "input_file_id", null));
            return null;
        }

        await foreach (var line in files.ReadLinesAsync(input)) text.Add(line);
        var (lines, errors) = BatchInput.Read(text, record.Endpoint);
        if (errors.Count == 0) return lines;
        await FailAsync([.. errors]);
        return null;
    }

    private Task<BatchRecord> FailAsync(params BatchError[] errors) =>
        grain.ChangeAsync(new BatchChange { Status = BatchStatus.Failed, Errors = [.. errors] });

    /// <summary>Opens the two files and reads what an earlier run has written. The lines that are left; null when
    /// nothing may run any more.</summary>
    private async Task<IReadOnlyList<BatchLine>?> OpenOutputAsync(IReadOnlyList<BatchLine> lines)
    {
        if (record.OutputFileId is null)
        {
            var output = await files.CreateAsync(record.Tenant, $"{record.BatchId}_output.jsonl", "batch_output");
            var errors = await files.CreateAsync(record.Tenant, $"{record.BatchId}_error.jsonl", "batch_output");
            record = await grain.ChangeAsync(new BatchChange
            {
                Status = BatchStatus.InProgress,
                Total = lines.Count,
                OutputFileId = output.FileId,
                ErrorFileId = errors.FileId,
            });
        }

        (_output, var done) = await OpenAsync(record.OutputFileId!);
        _completed = done.Count;
        (_errors, var failed) = await OpenAsync(record.ErrorFileId!);
        _failed = failed.Count;
        done.UnionWith(failed);
        if (!BatchMachine.IsOver(record.Status))
            return [.. lines.Where(line => !done.Contains(line.CustomId))];
        return null;
    }

    /// <summary>The file to go on with, and the requests whose lines it has.</summary>
    private async Task<(BatchOutput Output, HashSet<string> Ids)> OpenAsync(string fileId)
    {
        var ids = new HashSet<string>(StringComparer.Ordinal);
        if (await files.Grain(fileId).GetAsync() is not { } file) return (new BatchOutput(files, fileId, 0), ids);
        await foreach (var line in files.ReadLinesAsync(file))
        {
            using var document = JsonDocument.Parse(line);
            ids.Add(document.RootElement.GetProperty("custom_id").GetString()!);
        }

        return (new BatchOutput(files, fileId, file.Parts), ids);
    }

    /// <summary>Writes what there is now and then; cuts the run when the batch is cancelled, expires, or belongs to
    /// another silo. The status in which the run ended; null when it goes on elsewhere.</summary>
    private async Task<BatchStatus?> ReportAsync(CancellationTokenSource cut, CancellationToken over)
    {
        while (true)
        {
            var isLate = record.Status != BatchStatus.Finalizing && time.GetUtcNow() >= record.ExpiresAt;
            if (record.Status == BatchStatus.Cancelling || isLate)
            {
                await cut.CancelAsync();
                return record.Status == BatchStatus.Cancelling ? BatchStatus.Cancelled : BatchStatus.Expired;
            }

            try
            {
                await Task.Delay(ReportEvery, time, over);
            }
            catch (OperationCanceledException)
            {
                return BatchStatus.Completed;
            }

            if (await grain.ClaimAsync(owner, ClaimLife) && await TryWriteAsync()) continue;
            await cut.CancelAsync();
            return null;
        }
    }

    /// <summary>False when another silo has taken the batch over and writes its files.</summary>
    private async Task<bool> TryWriteAsync()
    {
        var (completed, failed) = (Volatile.Read(ref _completed), Volatile.Read(ref _failed));
        if (!await _output.TryFlushAsync() || !await _errors.TryFlushAsync()) return false;
        record = await grain.ChangeAsync(new BatchChange { Completed = completed, Failed = failed });
        return true;
    }

    private async Task EndAsync(BatchStatus status, IReadOnlyList<BatchLine> lines)
    {
        if (status == BatchStatus.Expired)
        {
            foreach (var line in lines.Where(line => !_done.ContainsKey(line.CustomId)))
            {
                _errors.AddUnrun(line, entropy.NextId(), "batch_expired", "The batch's time was over before its turn.");
                Interlocked.Increment(ref _failed);
            }

            if (!await TryWriteAsync()) return;
        }

        if (status == BatchStatus.Completed)
            await grain.ChangeAsync(new BatchChange { Status = BatchStatus.Finalizing });
        foreach (var (fileId, count) in ((string, int)[])[
            (record.OutputFileId!, _completed), (record.ErrorFileId!, _failed)])
        {
            if (count > 0 && await files.Grain(fileId).GetAsync() is { } file)
                await files.ShelfOf(record.Tenant).PutFileAsync(file);
            else
                await files.Grain(fileId).DeleteAsync();
        }

        await grain.ChangeAsync(new BatchChange { Status = status });
    }
}
