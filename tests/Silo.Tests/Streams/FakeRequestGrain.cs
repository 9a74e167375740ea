using System.Collections.Concurrent;
using Krewe.Abstractions;

namespace Krewe.Silo.Tests.Streams;

/// <summary>Keeps the reports it is told; fails the first few.</summary>
internal sealed class FakeRequestGrain : IRequestGrain
{
    public ConcurrentQueue<RequestReport> Reports { get; } = [];

    public int FailuresLeft { get; set; }

    public async Task ReportAsync(RequestReport report)
    {
        await Task.Yield();
        if (FailuresLeft-- > 0) throw new InvalidOperationException("The grain host is busy.");
        Reports.Enqueue(report);
    }

    public Task<RoutePlan> StartAsync(RequestSpec spec) => throw new NotSupportedException();

    public Task<RoutePlan> ResumeAsync(RequestSpec spec) => throw new NotSupportedException();

    public Task<string?> GetOwnerAsync() => throw new NotSupportedException();

    public Task<RequestSpec?> GetSpecAsync() => throw new NotSupportedException();

    public Task CancelAsync(RequestOutcome outcome, string reason, string? finishReason, int outputTokens) =>
        throw new NotSupportedException();

    public Task<string?> MigrateAsync(WorkerIncarnation target, string reason) => throw new NotSupportedException();

    public Task EvictAsync(WorkerIncarnation worker, string reason) => throw new NotSupportedException();

    public Task<RequestRecord?> GetRecordAsync() => throw new NotSupportedException();

    public Task ForgetAsync() => throw new NotSupportedException();
}
