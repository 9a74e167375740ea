using System.Diagnostics;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Recording;
using Krewe.Silo.Telemetry;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>The requests inside this silo's door. Invariant: each has its place until its run has ended.</summary>
internal sealed class AnswerRuns(
    Generator generator, Door door, DispatchLine line, KeptAnswers kept, TraceRecorder recorder)
{
    /// <summary>
    /// Takes the request in, waits for its turn and starts it. Throws <see cref="KreweException"/> when it is refused,
    /// and nothing is held. Whoever gets the run must leave it.
    /// </summary>
    /// <param name="cancellationToken">The client is gone. One that may come back for its answer waits without.</param>
    public Task<AnswerRun> StartAsync(GenerationRequest request, CancellationToken cancellationToken) =>
        request.Spec.Answer is null
            ? EnterAsync(request, resumes: false, cancellationToken)
            : kept.JoinAsync(request, () => EnterAsync(request, resumes: false, default), run => run.Vacate());

    /// <inheritdoc cref="Door.Glance"/>
    public void Glance(Control.Access.TenantPolicy tenant) => door.Glance(tenant);

    /// <summary>
    /// Joins a kept answer, or computes it again: its owner is gone or has forgotten it, and the same request gives the
    /// same tokens. Throws <see cref="KreweException"/> when it is refused.
    /// </summary>
    public Task<AnswerRun> ResumeAsync(GenerationRequest request) =>
        kept.JoinAsync(request, () => EnterAsync(request, resumes: true, default), run => run.Vacate());

    /// <summary>The run of a request that can be resumed and is remembered here; null for any other.</summary>
    public Task<AnswerRun>? Find(string requestId) => kept.Find(requestId);

    /// <summary>
    /// The client has its answer, or is gone. Unless it may come back for it, whatever still computes for it ends.
    /// </summary>
    public static async ValueTask LeaveAsync(AnswerRun run)
    {
        if (run.Request.Spec.Answer is not null)
        {
            run.Detach();
            return;
        }

        try
        {
            await run.DisposeAsync();
        }
        finally
        {
            // Whatever could not be ended, its place is free: a drain waits for the last one.
            run.Vacate();
        }
    }

    private async Task<AnswerRun> EnterAsync(
        GenerationRequest request, bool resumes, CancellationToken cancellationToken)
    {
        var place = Admit(request);
        Turn? turn = null;
        TraceEntry[]? entries = null;
        try
        {
            entries = recorder.Open(request);
            turn = await line.TakeAsync(request, cancellationToken);
            var run = await generator.StartAsync(turn.Dispatched(), resumes);
            run.Occupy(place, turn, tokens => recorder.Close(entries, tokens));
            return run;
        }
        catch
        {
            turn?.End(0);
            place.Leave(0);
            recorder.Close(entries, []);
            throw;
        }
    }

    private Place Admit(GenerationRequest request)
    {
        using var step = SiloTrace.Step(2, "admit");
        try
        {
            return door.Enter(request);
        }
        catch (KreweException e)
        {
            step?.SetTag("error.type", ErrorCatalog.Describe(e.Code).Code).SetStatus(ActivityStatusCode.Error);
            throw;
        }
    }
}
