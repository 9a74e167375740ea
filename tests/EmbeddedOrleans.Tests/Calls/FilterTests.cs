using Microsoft.Extensions.DependencyInjection;
using Orleans;
using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans.Tests.Calls;

public sealed class FilterTests
{
    [Fact]
    public async Task Filters_see_every_call_in_order_and_may_replace_its_result()
    {
        await using var host = await TestHost.StartAsync(addServices: services => services
            .AddIncomingGrainCallFilter<Tracing>()
            .AddIncomingGrainCallFilter<Doubling>());
        var grain = host.Grains.GetGrain<IPlainGrain>("filtered");

        Assert.Equal(42, await grain.Compute(_ => Task.FromResult(21)));
        await grain.Run(_ => Task.CompletedTask);

        Assert.Equal(
            [
                "> plain/filtered IScriptGrain.Compute ScriptGrain", "< 42",
                "> plain/filtered IScriptGrain.Run ScriptGrain", "< ",
            ],
            host.Hooks.Log);
    }

    [Fact]
    public async Task An_exception_passes_through_the_filters_to_the_caller()
    {
        await using var host = await TestHost.StartAsync(
            addServices: services => services.AddIncomingGrainCallFilter<Tracing>());

        await Assert.ThrowsAsync<InvalidDataException>(
            () => host.Grains.GetGrain<IPlainGrain>("f").Run(_ => throw new InvalidDataException("broken")));

        Assert.Contains("! broken", host.Hooks.Log);
    }

    [Fact]
    public async Task A_filter_sees_which_grain_calls()
    {
        GrainId? source = null;
        await using var host = await TestHost.StartAsync(
            addServices: services => services.AddSingleton<IIncomingGrainCallFilter>(
                new Watching(context => source = context.SourceId)));
        var (a, b) = (host.Grains.GetGrain<IPlainGrain>("a"), host.Grains.GetGrain<IPlainGrain>("b"));

        await b.Run(_ => Task.CompletedTask);
        Assert.Null(source);
        await a.Run(_ => b.Run(_ => Task.CompletedTask));
        Assert.Equal(a.GetGrainId(), source);
    }

    private sealed class Tracing(Hooks hooks) : IIncomingGrainCallFilter
    {
        public async Task Invoke(IIncomingGrainCallContext context)
        {
            var declaring = context.ImplementationMethod.DeclaringType!.Name;
            hooks.Log.Enqueue(
                $"> {context.TargetId} {context.InterfaceName.Split('.')[^1]}.{context.MethodName} {declaring}");
            try
            {
                await context.Invoke();
                hooks.Log.Enqueue($"< {context.Result}");
            }
            catch (InvalidDataException error)
            {
                hooks.Log.Enqueue($"! {error.Message}");
                throw;
            }
        }
    }

    private sealed class Doubling : IIncomingGrainCallFilter
    {
        public async Task Invoke(IIncomingGrainCallContext context)
        {
            await context.Invoke();
            if (context.Result is int number)
                context.Result = 2 * number;
        }
    }

    private sealed class Watching(Action<IIncomingGrainCallContext> watch) : IIncomingGrainCallFilter
    {
        public Task Invoke(IIncomingGrainCallContext context)
        {
            watch(context);
            return context.Invoke();
        }
    }
}
