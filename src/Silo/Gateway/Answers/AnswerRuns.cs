using System.Diagnostics;
using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Telemetry;

namespace Krewe.Silo.Gateway.Answers;

/// <summary>The requests inside this silo's door. Invariant: each has its place until its run has ended.</summary>
internal sealed class AnswerRuns(Generator generator, Door door, KeptAnswers kept)
{
    /// <summary>
    /// Takes the request in and starts it. Throws <see cref="KreweException"/> when it is refused, and nothing is held.
    /// Whoever gets the run must leave it.
    /// </summary>
    public Task<AnswerRun> StartAsync(GenerationRequest request) => request.Spec.Answer is null
        ? EnterAsync(request, resumes: false)
        : kept.JoinAsync(request, () => EnterAsync(request, resumes: false), door.Leave);

    /// <summary>
    /// Joins a kept answer, or computes it again: its owner is gone or has forgotten it, and the same request gives the
    /// same tokens. Throws <see cref="KreweException"/> when it is refused.
    /// </summary>
    public Task<AnswerRun> ResumeAsync(GenerationRequest request) =>
        kept.JoinAsync(request, () => EnterAsync(request, resumes: true), door.Leave);

    /// <summary>The run of a request that can be resumed and is remembered here; null for any other.</summary>
    public Task<AnswerRun>? Find(string requestId) => kept.Find(requestId);

    /// <summary>
    /// The client has its answer, or is gone. Unless it may come back for it, whatever still computes for it ends.
    /// </summary>
    public async ValueTask LeaveAsync(AnswerRun run)
    {
        if (run.Request.Spec.Answer is not null)
        {
            run.Detach();
            return;
        }

        await run.DisposeAsync();
        door.Leave();
    }

    private async Task<AnswerRun> EnterAsync(GenerationRequest request, bool resumes)
    {
        using (var step = SiloTrace.Step(2, "admit"))
        {
            if (door.Enter() is Refused refused)
                throw Refusal(step, refused);
        }

        try
        {
            return await generator.StartAsync(request, resumes);
        }
        catch
        {
            door.Leave();
            throw;
        }
    }

    private static KreweException Refusal(Activity? step, Refused refused)
    {
        step?.SetTag("error.type", ErrorCatalog.Describe(refused.Code).Code).SetStatus(ActivityStatusCode.Error);
        return new KreweException(refused.Code, refused.Message) { RetryAfter = refused.RetryAfter };
    }
}
