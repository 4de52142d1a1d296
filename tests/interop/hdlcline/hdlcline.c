// SPDX-License-Identifier: GPL-2.0-only
/* What a driver of HDLC hardware does, with a file in the hardware's place: the kernel's own
 * Cisco HDLC then speaks over it. Reading and writing /dev/hdlcline, the frames are each behind
 * two octets of their length, most significant first; without FCS and flags, which are the
 * hardware's business. Knows no protocol.
 */
#include <linux/hdlc.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#define LONGEST 2048
#define MOST_WAITING 1000
#define PREFIX 2

static struct net_device *device;
static struct sk_buff_head outgoing;
static DECLARE_WAIT_QUEUE_HEAD(readers);

/* The frame that is being written, and how much of it has come. */
static u8 incoming[PREFIX + LONGEST];
static size_t come;
static DEFINE_MUTEX(writing);

static netdev_tx_t transmit(struct sk_buff *skb, struct net_device *dev)
{
	if (skb_queue_len(&outgoing) >= MOST_WAITING) {
		dev->stats.tx_dropped++;
		dev_kfree_skb(skb);
		return NETDEV_TX_OK;
	}
	dev->stats.tx_packets++;
	skb_queue_tail(&outgoing, skb);
	wake_up_interruptible(&readers);
	return NETDEV_TX_OK;
}

static int attach(struct net_device *dev, unsigned short encoding, unsigned short parity)
{
	return 0;
}

static int open_device(struct net_device *dev)
{
	int err = hdlc_open(dev);

	if (!err)
		netif_start_queue(dev);
	return err;
}

static int stop_device(struct net_device *dev)
{
	netif_stop_queue(dev);
	hdlc_close(dev);
	return 0;
}

static const struct net_device_ops operations = {
	.ndo_open = open_device,
	.ndo_stop = stop_device,
	.ndo_start_xmit = hdlc_start_xmit,
	.ndo_siocwandev = hdlc_ioctl,
};

/* One frame a call. */
static ssize_t read_frame(struct file *file, char __user *to, size_t room, loff_t *offset)
{
	struct sk_buff *skb;
	u8 prefix[PREFIX];
	ssize_t result;

	if (wait_event_interruptible(readers, !skb_queue_empty(&outgoing)))
		return -ERESTARTSYS;
	skb = skb_dequeue(&outgoing);
	if (!skb)
		return -EAGAIN;
	prefix[0] = skb->len >> 8;
	prefix[1] = skb->len;
	result = PREFIX + skb->len;
	if (room < result || skb_linearize(skb) || copy_to_user(to, prefix, PREFIX) ||
	    copy_to_user(to + PREFIX, skb->data, skb->len))
		result = -EFAULT;
	dev_kfree_skb(skb);
	return result;
}

static void receive(void)
{
	size_t length = come - PREFIX;
	struct sk_buff *skb = dev_alloc_skb(length);

	come = 0;
	if (!skb)
		return;
	skb_put_data(skb, incoming + PREFIX, length);
	device->stats.rx_packets++;
	skb->protocol = hdlc_type_trans(skb, device);
	netif_rx(skb);
}

/* However the stream is cut. */
static ssize_t write_frames(struct file *file, const char __user *from, size_t size, loff_t *offset)
{
	size_t used = 0, wanted, piece;
	ssize_t result = size;

	mutex_lock(&writing);
	while (used < size) {
		wanted = PREFIX;
		if (come >= PREFIX)
			wanted += incoming[0] << 8 | incoming[1];
		if (wanted > sizeof(incoming)) {
			result = -EMSGSIZE;
			break;
		}
		piece = min(wanted - come, size - used);
		if (copy_from_user(incoming + come, from + used, piece)) {
			result = -EFAULT;
			break;
		}
		come += piece;
		used += piece;
		if (come > PREFIX && come == PREFIX + (incoming[0] << 8 | incoming[1]))
			receive();
	}
	mutex_unlock(&writing);
	return result;
}

/* Who writes anew begins with a frame. */
static int open_file(struct inode *inode, struct file *file)
{
	mutex_lock(&writing);
	if (file->f_mode & FMODE_WRITE)
		come = 0;
	mutex_unlock(&writing);
	return 0;
}

static const struct file_operations file_operations = {
	.owner = THIS_MODULE,
	.open = open_file,
	.read = read_frame,
	.write = write_frames,
};

static struct miscdevice file = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hdlcline",
	.fops = &file_operations,
};

static int __init begin(void)
{
	int err;

	skb_queue_head_init(&outgoing);
	device = alloc_hdlcdev(NULL);
	if (!device)
		return -ENOMEM;
	device->netdev_ops = &operations;
	dev_to_hdlc(device)->attach = attach;
	dev_to_hdlc(device)->xmit = transmit;
	err = register_hdlc_device(device);
	if (err)
		goto free;
	err = misc_register(&file);
	if (err)
		goto unregister;
	return 0;

unregister:
	unregister_hdlc_device(device);
free:
	free_netdev(device);
	return err;
}

static void __exit end(void)
{
	misc_deregister(&file);
	unregister_hdlc_device(device);
	skb_queue_purge(&outgoing);
	free_netdev(device);
}

module_init(begin);
module_exit(end);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("HDLC hardware that is a file");
