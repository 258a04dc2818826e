"""What is told of blanks: whatever the owner of the database forges differs from something else."""

from service.paper import blanks
from service.paper.blanks import check, records
from service.paper.papers import changing
from tests import stationery, test_orders, test_requisitions, test_stocktakes
from tests.printshop import KEEPER, Shop
from tests.stationery import ranges
from tests.world import CHENGDU, World

# What the owner does, and what the check then names first.
FORGERIES = {
    "update blank_series set digit_count = 8 where prefix = '川26A'": "series:2026-inner",
    "update blank_stock set state = 'drawn' where serials @> 60::int8": "川26A0000060",
    "update paper set state = 'handed-over' where serial = 4": "川26A0000004",
    "delete from hand_over": "paper:{first}",
    "update paper set number = '{other}' where serial = 4": "print-run:1 第 2 轮",
    "update paper set version = 9 where serial = 2": "print-run:1 第 1 轮",
    "update sheet set number = '{other}' where serial = 4": "print-run:1 第 2 轮",
    "update sheet set outcome = 'returned' where serial = 3": "print-run:1",
    "delete from sheet where serial = 3": "print-run:1",
    "update print_run set state = 'drawn', ended_by = null, ended_at = null": "print-run:1",
    "update print_run set state = 'cancelled'": "print-run:1",
    "update print_run set planned_by = '{keeper}'": "print-run:1",
    "delete from print_run": "print-run:1",
    "update print_round set settled_by = null, settled_at = null where round = 2": "print-run:1",
    "update paper_change set state = 'declined', decline_reason = '-'": "paper-change:1",
    "delete from paper_change": "paper-change:1",
    "update consignment set sheet_count = 9, counted = 9": "consignment:1",
    "update consignment set city_code = '510700'": "consignment:1",
    "update consignment set state = 'dispatched', ended_by = null, ended_at = null,"
    " counted = null": "consignment:1",
    "update consignment set counted = 4": "consignment:1",
    "delete from difference": "consignment:1",
    "delete from consignment": "consignment:1",
    "update requisition set pass_count = 99": "requisition:1",
    "update requisition set extra_count = 3, extra_granted = 3, extra_reason = '-'":
        "requisition:1",
    "update requisition set state = 'withdrawn', extra_granted = null, ended_by = made_by,"
    " reason = '-'": "requisition:1",
    "update requisition_pass set live = false": "requisition:1",
    "update requisition_pass set pass_count = 99": "requisition:1",
    "delete from requisition_pass": "requisition:1",
    "update blank_order set serials = '{{[50,52)}}'": "blank-order:1",
    "update blank_order set decided_by = 'province'": "blank-order:1",
    "update blank_order set state = 'asked', decided_by = null, decided_at = null": "blank-order:1",
    "delete from blank_order": "blank-order:1",
    "update stocktake set state = 'counted', decided_by = null, decided_at = null": "stocktake:1",
    "update stocktake set decided_by = 'province'": "stocktake:1",
    "update stocktake_difference set to_state = null": "stocktake:1",
    "update stocktake_count set serials = '{{[4,6)}}'": "stocktake:1",
    "update stocktake_tally set counted = '{{}}' where not is_spoiled": "stocktake:1",
    "delete from stocktake": "stocktake:1",
}  # fmt: skip


async def _act(shop: Shop) -> None:
    """Do one of everything that is told of blanks."""
    world, first, second, third = shop.world, *shop.numbers[:3]
    run_id = await shop.drawn(first, second, third)
    await shop.settle(run_id, 2, spoiled="3")
    await shop.draw(run_id)
    await shop.settle(run_id, 1)
    await shop.close(run_id)
    await shop.hand_over(first)
    await shop.changed(changing.Kind.SPOIL, second)
    await stationery.take_in(world, (201, 300))
    made = await test_requisitions.make(world)
    await test_requisitions.submit(world, made.requisition_id)
    await test_requisitions.approve(world, made.requisition_id)
    sent = await stationery.dispatch(world, 10, requisition_id=made.requisition_id)
    await stationery.receive(world, sent, 9, short=[(204, 204)])
    await test_orders.done(world, blanks.Kind.LOSE, (50, 50))
    stocktake_id = await test_stocktakes.open_(world)
    await test_stocktakes.count(
        world, stocktake_id, (5, 49), (51, 59), (61, 100), (201, 203), (205, 210)
    )
    await test_stocktakes.count(world, stocktake_id, (2, 3), is_spoiled=True)
    await test_stocktakes.close(world, stocktake_id)
    await test_stocktakes.explain(world, stocktake_id)
    await test_stocktakes.approve(world, stocktake_id)


async def test_whatever_the_owner_of_the_database_forges_is_named(shop: Shop) -> None:
    await _act(shop)
    names = {"first": shop.numbers[0], "other": shop.numbers[-1], "keeper": KEEPER}
    for by in (f"auditor-{CHENGDU}", "auditor-510000"):
        async with shop.at(by) as desk:
            assert await check.check(desk.connection, desk.actor) == []
            assert await records.check(desk.connection) == []
    unseen = []
    async with shop.world.connection() as owner:
        for statement, named in FORGERIES.items():
            transaction = owner.transaction()
            await transaction.start()
            await owner.execute("set local session_replication_role = replica")
            assert (await owner.execute(statement.format(**names)))[-2:] != " 0", statement
            found = [*await check.check(owner), *await records.check(owner)]
            if named.format(**names) not in [one.record or one.serials for one in found]:
                unseen.append(statement)
            await transaction.rollback()
    assert not unseen, "\n".join(unseen)


async def test_what_moves_while_the_books_are_checked_is_no_fault(world: World) -> None:
    """Heads, chains, movements and stock are all those of one moment."""
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    async with world.desk("auditor-510000") as desk, desk.acting(at_one_moment=True):
        heads = await check.heads(desk.connection)
        await stationery.supply(world, ranges((101, 200)))
        assert await check.heads(desk.connection) == heads
        assert await check.check(desk.connection, desk.actor) == []
        stock = await blanks.stock(desk.connection)
    assert [one.sheet_count for one in stock] == [100]
