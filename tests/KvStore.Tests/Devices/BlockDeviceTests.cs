using Krewe.KvStore.Devices;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Tests.Devices;

public sealed class BlockDeviceTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task Far_more_ios_than_the_queue_is_deep_all_end(IoPath path)
    {
        await using var device = await OpenAsync(path, queueDepth: 4);
        await using var file = await device.OpenSegmentAsync(_directory.Segment(), 200 * 4096, default);
        using var buffer = new NativeBuffer(200 * 4096);
        await device.RegisterMemoryAsync(buffer);
        for (var i = 0; i < 200; i++) buffer.GetSpan().Slice(i * 4096, 4096).Fill((byte)i);
        await Task.WhenAll(Enumerable.Range(0, 200).Select(
            i => file.WriteAsync(i * 4096, buffer.Memory.Slice(i * 4096, 4096)).AsTask()));

        buffer.GetSpan().Clear();
        await Task.WhenAll(Enumerable.Range(0, 200).Select(
            i => file.ReadAsync(i * 4096, buffer.Memory.Slice(i * 4096, 4096)).AsTask()));
        await file.FlushAsync();

        for (var i = 0; i < 200; i++) Assert.False(buffer.GetSpan().Slice(i * 4096, 4096).ContainsAnyExcept((byte)i));
    }

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task Reading_past_the_end_is_an_error_that_names_the_file(IoPath path)
    {
        await using var device = await OpenAsync(path, queueDepth: 4);
        await using var file = await device.OpenSegmentAsync(_directory.Segment(), 4096, default);
        using var buffer = new NativeBuffer(8192);

        var error = await Assert.ThrowsAsync<BlockIoException>(() => file.ReadAsync(0, buffer.Memory).AsTask());

        Assert.Equal(BlockIoFault.Truncated, error.Fault);
        Assert.Contains(_directory.Segment(), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [IoUringData]
    [InlineData(IoPath.RandomAccess)]
    public async Task A_file_that_cannot_be_made_is_an_error_that_names_it(IoPath path)
    {
        await using var device = await OpenAsync(path, queueDepth: 4);
        var missing = Path.Combine(_directory.Path, "no-such-folder", "segment");

        var error = await Assert.ThrowsAsync<BlockIoException>(
            () => device.OpenSegmentAsync(missing, 4096, default).AsTask());

        Assert.Contains(missing, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_device_says_which_path_it_took_and_why()
    {
        await using (var device = await OpenAsync(IoPath.RandomAccess, 4))
            Assert.StartsWith("RandomAccess, as asked", device.Description, StringComparison.Ordinal);
        await using (var device = await OpenAsync(IoPath.Auto, 4))
            Assert.Matches("^(io_uring with direct I/O|RandomAccess, because )", device.Description);
    }

    [Fact]
    public async Task A_file_system_without_direct_io_gets_random_access_with_the_reason_or_a_refusal()
    {
        // procfs takes no files at all: the plainest refusal that every Linux has.
        await using (var device = await BlockDevice.OpenAsync(new BlockDeviceOptions(), ["/proc"]))
            Assert.Contains("because '/proc' refuses direct I/O", device.Description, StringComparison.Ordinal);

        var demanded = new BlockDeviceOptions { Path = IoPath.IoUring };
        var error = await Assert.ThrowsAsync<KvStoreException>(
            () => BlockDevice.OpenAsync(demanded, ["/proc"]).AsTask());
        Assert.Equal(KvStoreError.DeviceUnavailable, error.Error);
    }

    [Fact]
    public async Task A_queue_depth_out_of_range_is_refused()
    {
        var error = await Assert.ThrowsAsync<KvStoreException>(() => OpenAsync(IoPath.Auto, 0).AsTask());
        Assert.Contains("QueueDepth", error.Message, StringComparison.Ordinal);
    }

    private ValueTask<IBlockDevice> OpenAsync(IoPath path, int queueDepth) =>
        BlockDevice.OpenAsync(new BlockDeviceOptions { Path = path, QueueDepth = queueDepth }, [_directory.Path]);
}
